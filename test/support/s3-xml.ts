/** Just enough XML for what S3 sends and takes: elements without attributes that matter, never nested in themselves. */

/** The contents of each element of this name, entities decoded. */
export function elements(xml: string, name: string): string[] {
  return rawElements(xml, name).map(decode)
}

/** The contents of each element of this name, to look into. */
export function rawElements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, 'gs'))].map(
    ([, content = '']) => content,
  )
}

export function element(name: string, content: string | number | boolean): string {
  return `<${name}>${encode(String(content))}</${name}>`
}

const entities: readonly (readonly [character: string, entity: string])[] = [
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
]

function encode(text: string): string {
  return entities.reduce((encoded, [character, entity]) => encoded.replaceAll(character, entity), text)
}

function decode(text: string): string {
  return entities
    .toReversed()
    .reduce((decoded, [character, entity]) => decoded.replaceAll(entity, character), text)
}
