import { printableJson } from './printable.ts'

/** A line, or several, that are printable already. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(printableJson(value, 2))
}
