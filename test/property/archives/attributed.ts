import fc from 'fast-check'
import { aclFor } from '../../support/posix-acls.ts'
import { dir, file, hardlink, opaque, symlink, type TarOptions, tar, whiteout } from '../../support/tar.ts'
import type { Tree } from '../../support/tree.ts'
import { Unexplained } from './scenes.ts'
import type { Subject } from './subject.ts'

interface Part {
  readonly kind: keyof typeof build
  readonly path: string
  readonly target: string
  readonly attribute: keyof typeof attributes
}

const acl = aclFor(1)
const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex')
const attributes = {
  none: {},
  default: { 'SCHILY.xattr.system.posix_acl_default': acl },
  access: { 'SCHILY.xattr.system.posix_acl_access': acl },
  user: { 'SCHILY.xattr.user.a': '1' },
  capability: { 'SCHILY.xattr.security.capability': capability },
} as const satisfies Record<string, TarOptions['pax']>

const build = {
  directory: ({ path, attribute }: Part) => dir(path, { mode: 0o770, pax: attributes[attribute] }),
  file: ({ path }: Part) => file(path, path, { mode: 0o640 }),
  symlink: ({ path, target }: Part) => symlink(path, target),
  hardlink: ({ path, target }: Part) => hardlink(path, target),
  whiteout: ({ path }: Part) => whiteout(path),
  opaque: ({ path }: Part) => opaque(path),
} as const

const path = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 3 }).map(names => names.join('/'))
const part: fc.Arbitrary<Part> = fc.record({
  kind: fc.constantFrom(
    'directory',
    'directory',
    'directory',
    'file',
    'file',
    'symlink',
    'hardlink',
    'whiteout',
    'opaque',
  ),
  path: fc.oneof({ weight: 9, arbitrary: path }, { weight: 1, arbitrary: fc.constant('.') }),
  target: path,
  attribute: fc.constantFrom('none', 'none', 'default', 'access', 'user', 'capability'),
})

/** Layers whose directories have extended attributes now and then, and hand down ACLs. */
export const attributed: fc.Arbitrary<readonly (readonly Part[])[]> = fc.array(
  fc.array(part, { minLength: 1, maxLength: 6 }),
  { minLength: 2, maxLength: 4 },
)

/**
 * Applies layers as an import does, each told what the one before has found out, and again where each has to ask: both
 * trees are the same, extended attributes included, and no directory has any when the last report says so.
 * @throws Unexplained
 */
export async function checkAttributed(layers: readonly (readonly Part[])[], subject: Subject): Promise<void> {
  const streams = layers.map(parts => tar(...parts.map(one => build[one.kind](one))))
  const ours = await subject.apply(streams, { xattrs: true })
  const asked = await subject.apply(streams, { xattrs: true, forgetful: true })
  const [told, untold] = [ours.tree, asked.tree].map(show)
  if (told !== untold || ours.refusal?.message !== asked.refusal?.message)
    throw new Unexplained(`told\n${told}\nnot told\n${untold}\n${JSON.stringify(layers)}`)
  const having = [...ours.tree].filter(([, { type, xattrs }]) => type === 'directory' && xattrs.length > 0)
  if (ours.directoryXattrs === 'none' && having.length > 0)
    throw new Unexplained(`not none\n${told}\n${JSON.stringify(layers)}`)
}

function show(tree: Tree): string {
  return [...tree]
    .map(([at, { type, mode, xattrs }]) => `${at} ${type} ${mode.toString(8)} ${xattrs.join(' ')}`)
    .join('\n')
}
