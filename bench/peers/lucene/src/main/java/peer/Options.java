// SPDX-License-Identifier: Apache-2.0
package peer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** {@code --name value} pairs; a name followed by another name, or by nothing, is a switch. */
final class Options {
  private final Map<String, String> values = new HashMap<>();

  Options(String[] argv) {
    for (int i = 0; i < argv.length; i++) {
      if (!argv[i].startsWith("--")) {
        throw new IllegalArgumentException("unexpected argument: " + argv[i]);
      }
      boolean hasValue = i + 1 < argv.length && !argv[i + 1].startsWith("--");
      values.put(argv[i].substring(2), hasValue ? argv[++i] : "");
    }
  }

  String required(String name) {
    String value = values.get(name);
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException("missing --" + name);
    }
    return value;
  }

  String text(String name, String fallback) {
    return values.getOrDefault(name, fallback);
  }

  int number(String name, int fallback) {
    return values.containsKey(name) ? Integer.parseInt(values.get(name)) : fallback;
  }

  boolean on(String name) {
    return values.containsKey(name);
  }

  List<String> list(String name, String fallback) {
    return List.of(text(name, fallback).split(","));
  }
}
