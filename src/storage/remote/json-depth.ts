/**
 * How deep arrays and objects are nested in JSON text, without parsing it. Reading JSON takes any depth, writing it
 * again does not: `JSON.stringify` recurses, so a stranger's document of 10,000 brackets would fail far from here.
 */
export function jsonDepthOf(bytes: Uint8Array): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index]
    if (inString) {
      if (byte === backslash) index += 1
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === openBracket || byte === openBrace) {
      depth += 1
      deepest = Math.max(deepest, depth)
    } else if (byte === closeBracket || byte === closeBrace) depth -= 1
  }
  return deepest
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\[]{}')
