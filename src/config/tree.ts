/** Every value of a tree with its path, such as `registry.address`. */
export function* flatten(value: unknown, prefix = ''): Generator<[string, unknown]> {
  // A section whose lines are all commented out.
  if (value === null) return
  if (typeof value !== 'object' || Array.isArray(value)) {
    yield [prefix, value]
    return
  }
  for (const [name, inner] of Object.entries(value))
    yield* flatten(inner, prefix === '' ? name : `${prefix}.${name}`)
}

/** Makes what is missing on the way, without a prototype: a name may be `__proto__`. */
export function setIn(tree: object, path: readonly string[], value: unknown): void {
  let node = tree as Record<string, unknown>
  for (const name of path.slice(0, -1)) {
    const next = node[name]
    node[name] = typeof next === 'object' && next !== null ? next : Object.create(null)
    node = node[name] as Record<string, unknown>
  }
  node[path.at(-1) ?? ''] = value
}

export function getIn(tree: unknown, path: readonly string[]): unknown {
  let node = tree
  for (const name of path) node = (node as Record<string, unknown> | undefined)?.[name]
  return node
}
