/** `1 tag`, `2 tags`: a count with its noun, as people say it. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
