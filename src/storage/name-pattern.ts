/** In a pattern `*` is any part of a segment of the name, and `**` any part of the name; a tag is one segment. */
export function namePattern(pattern: string): RegExp {
  const source = pattern.replace(/\*{2,}|\*|[\\^$.+?()[\]{}|]/g, part => {
    if (part.startsWith('**')) return '.*'
    return part === '*' ? '[^/]*' : `\\${part}`
  })
  return new RegExp(`^${source}$`)
}

/** Whether one of the patterns fits. */
export function fitsAny(patterns: readonly string[], name: string): boolean {
  return patterns.some(pattern => namePattern(pattern).test(name))
}
