import { actingCharacters, escapedCharacter } from '../acting-characters.ts'

/** One line of text that shows everything and does nothing: names and words of strangers stand in it. */
export function printable(text: string): string {
  return text.replace(actingCharacters, escapedCharacter)
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.replace(actingCharacters, character =>
    character === '\n' ? character : escapedCharacter(character),
  )
}

/** JSON for terminals and programs alike: still the same value, and nothing that a terminal acts upon. */
export function printableJson(value: unknown, indent?: number): string {
  return printableLines(JSON.stringify(value, undefined, indent))
}
