// SPDX-License-Identifier: Apache-2.0
package peer;

import java.lang.management.ManagementFactory;

/** Clocks in seconds. */
final class Clock {
  private Clock() {}

  static double wall() {
    return System.nanoTime() / 1e9;
  }

  /** Everything this process has burnt: our threads, the garbage collector, the compiler. */
  static double processCpu() {
    var os = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return os.getProcessCpuTime() / 1e9;
  }

  static double threadCpu() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() / 1e9;
  }
}
