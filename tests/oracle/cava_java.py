#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tests/golden/cava/java_cases.txt on a JVM and writes what it answers.

java_results.tsv: name, then the value: integers in decimal, reals as the 16 hexadecimal
digits of their double, true and false, or "error" with the kind of exception.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden", "cava")


def cases():
    name = kind = None
    classes, members, body, out = [], [], [], []
    with open(os.path.join(GOLDEN, "java_cases.txt"), encoding="utf-8") as f:
        for line in list(f) + ["== end: void\n"]:
            m = re.match(r"== (.*): (\w+)$", line)
            if m:
                if name:
                    out.append((name, kind, classes, members, body))
                name, kind = m.group(1), m.group(2)
                classes, members, body = [], [], []
            elif name is None or not line.strip():
                continue
            elif line.startswith("class "):
                classes.append(line)
            elif line.startswith("static "):
                members.append(line)
            else:
                body.append(line)
    return out


def java(all_cases):
    text = ["public class Cases {"]
    for i, (_, kind, classes, members, body) in enumerate(all_cases):
        text.append(f"static class Case{i} {{")
        text += ["static " + c for c in classes] + members
        text.append(f"static {kind} run() {{")
        text += body + ["}", "}"]
    text.append("""
static void show(String name, java.util.function.Supplier<Object> run) {
  String v;
  try {
    Object o = run.get();
    if (o instanceof Double || o instanceof Float) {
      double d = ((Number) o).doubleValue();
      v = Double.isNaN(d) ? "nan" : String.format("%016x", Double.doubleToRawLongBits(d));
    } else if (o instanceof Character) v = "" + (int) (Character) o;
    else v = o.toString();
  } catch (ArithmeticException e) { v = "error division by zero";
  } catch (ArrayIndexOutOfBoundsException e) { v = "error index";
  } catch (NegativeArraySizeException e) { v = "error an array of -";
  } catch (NullPointerException e) { v = "error null";
  } catch (StackOverflowError e) { v = "error nested too deep"; }
  System.out.println(name + "\\t" + v);
}
public static void main(String[] args) {""")
    for i, c in enumerate(all_cases):
        text.append(f'show("{c[0]}", () -> Case{i}.run());')
    text.append("}}")
    return "\n".join(text)


def main():
    all_cases = cases()
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "Cases.java")
        with open(path, "w", encoding="utf-8") as f:
            f.write(java(all_cases))
        subprocess.run(["javac", "-nowarn", "-d", d, path], check=True)
        out = subprocess.run(["java", "-cp", d, "Cases"], check=True, capture_output=True,
                             text=True).stdout
    with open(os.path.join(GOLDEN, "java_results.tsv"), "w", encoding="utf-8") as f:
        f.write(out)
    print(len(all_cases), "cases", file=sys.stderr)


if __name__ == "__main__":
    main()
