// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;

/**
 * Several engines measured in turns: with {@code --turns N} the rounds are cut into N parts. "ready" is said when warm;
 * each part waits for a line on standard input and ends with "done". Without it the rounds simply run.
 */
final class Turns {
  private final int part; // rounds; 0: no turns
  private final int rounds;
  private int round;
  private double cpu;
  private double wall;
  private double cpuStart;
  private double wallStart;

  Turns(Options options, int rounds) {
    int turns = options.number("turns", 0);
    this.rounds = rounds;
    part = turns == 0 ? 0 : Math.max(1, rounds / turns);
    if (part > 0) {
      System.gc(); // what the warm-up left behind is not to be swept up while others are measured
      say("ready");
    }
  }

  void before(int round) throws IOException {
    this.round = round;
    if (part > 0 && round % part == 0) {
      int c;
      do {
        c = System.in.read();
      } while (c != '\n' && c >= 0);
    }
    cpuStart = Clock.threadCpu();
    wallStart = Clock.wall();
  }

  void after() {
    cpu += Clock.threadCpu() - cpuStart;
    wall += Clock.wall() - wallStart;
    if (part > 0 && ((round + 1) % part == 0 || round + 1 == rounds)) {
      say("done");
    }
  }

  double cpuShare() {
    return cpu / wall;
  }

  private static void say(String word) {
    System.out.println(word);
    System.out.flush();
  }
}
