import { isUtf8 } from 'node:buffer'
import { closeSync } from 'node:fs'
import { asByteString, type ByteString, byteStringOf, bytesOf } from '../byte-string.ts'
import type { Xattr } from '../entry.ts'
import type { Directory } from './directory.ts'
import { firstDescriptor, type HelperProgram, runHelper } from './helper-program.ts'
import type { Place, RootTree } from './root-tree.ts'
import { asSystemError, errnoIn, errnoOfReason } from './system-reasons.ts'

/** Directories that one run of a program gets: each is one descriptor of it. */
export const directoriesPerRun = 64

/** The directory itself, as a name in it. */
export const itself = asByteString('.')

export interface XattrTarget extends Place {
  readonly xattrs: readonly Xattr[]
}

export interface XattrFailure {
  readonly target: XattrTarget
  readonly xattr: Xattr
  /** Such as `ENOTSUP`. */
  readonly errno: string
}

/**
 * Sets extended attributes by one run of setfattr(1), never through a symlink. `targets` are in at most
 * {@link directoriesPerRun} directories.
 * @returns those that the system refused; undefined when this host does not have the program.
 * @throws a system error when the program fails otherwise.
 */
export function setXattrs(tree: RootTree, targets: readonly XattrTarget[]): XattrFailure[] | undefined {
  return withDirectories(tree, new Set(targets.map(target => target.directory)), given => {
    const lines = targets.flatMap(target =>
      target.xattrs.map((xattr, index) => ({
        target,
        xattr,
        path: pathIn(given, target.directory, asByteString(mark(index) + target.name)),
      })),
    )
    const input = bytesOf(asByteString(lines.map(restoreLines).join('')))
    const descriptors = [...given.values()].map(({ file }) => file)
    const run = runHelper('setfattr', { arguments: ['-h', '--restore=-'], descriptors, input })
    if (run === undefined) return undefined
    const { failures, rest } = failuresIn(run.complaints, lines)
    if (rest !== '' || (run.status !== 0 && failures.length === 0))
      throw asSystemError('setfattr', rest.trim())
    return failures
  })
}

/**
 * The names of the extended attributes of directories, at most {@link directoriesPerRun} of them. None of those that
 * have none, or whose file system has none.
 * @returns undefined when this host does not have the program getfattr.
 */
export function xattrNamesOf(
  tree: RootTree,
  directories: ReadonlySet<Directory>,
): ReadonlyMap<Directory, readonly ByteString[]> | undefined {
  return withDirectories(tree, directories, given => {
    const paths = new Map([...given.keys()].map(directory => [pathIn(given, directory, itself), directory]))
    const run = runOn('getfattr', ['--absolute-names', '-h', '-m', '-'], given, [...paths.keys()])
    if (run === undefined) return undefined
    const names = new Map<Directory, readonly ByteString[]>()
    for (const paragraph of byteStringOf(run.output).split('\n\n')) {
      const [heading = '', ...lines] = paragraph.split('\n').filter(line => line !== '')
      const directory = paths.get(unquote(heading.slice(fileHeading.length)))
      if (directory !== undefined) names.set(directory, lines.map(unquote))
    }
    return names
  })
}

/** Removes one extended attribute of directories that have it, at most {@link directoriesPerRun} of them. */
export function removeXattr(tree: RootTree, name: ByteString, directories: ReadonlySet<Directory>): void {
  withDirectories(tree, directories, given => {
    const paths = [...given.keys()].map(directory => pathIn(given, directory, itself))
    runOn('setfattr', ['-h', '-x', bytesOf(name).toString()], given, paths)
  })
}

type Given = ReadonlyMap<Directory, { readonly file: number; readonly prefix: ByteString }>

const fileHeading = '# file: '

function withDirectories<Result>(
  tree: RootTree,
  directories: ReadonlySet<Directory>,
  work: (given: Given) => Result,
): Result {
  const given = new Map<Directory, { readonly file: number; readonly prefix: ByteString }>()
  try {
    for (const directory of directories) {
      const prefix = tree.descriptors.prefixInChild(directory, firstDescriptor + given.size)
      given.set(directory, { file: tree.descriptors.openAnew(directory), prefix })
    }
    return work(given)
  } finally {
    for (const { file } of given.values()) closeSync(file)
  }
}

function pathIn(given: Given, directory: Directory, name: ByteString): ByteString {
  const prefix = given.get(directory)?.prefix
  if (prefix === undefined) throw new Error('a program can only be told of directories that it is given')
  return asByteString(prefix + name)
}

/** What has no such attribute, or cannot have any, is no failure. */
function runOn(
  program: HelperProgram,
  options: readonly string[],
  given: Given,
  paths: readonly ByteString[],
): ReturnType<typeof runHelper> {
  const run = runHelper(program, {
    // Arguments are text. Through descriptors a path always is.
    arguments: [
      ...options,
      '--',
      ...paths.filter(path => isUtf8(bytesOf(path))).map(path => bytesOf(path).toString()),
    ],
    descriptors: [...given.values()].map(({ file }) => file),
  })
  if (run === undefined || run.status === 0) return run
  for (const complaint of run.complaints.trimEnd().split('\n'))
    if (!['ENOTSUP', 'ENODATA'].includes(errnoIn(complaint) ?? '')) throw asSystemError(program, complaint)
  return run
}

interface Line {
  readonly target: XattrTarget
  readonly xattr: Xattr
  readonly path: ByteString
}

/**
 * The program complains about paths and does not say about which attribute. So each attribute of a file gets a path of
 * its own to the same file: `/` and `./` in the middle of a path mean nothing.
 */
function mark(index: number): string {
  return index === 0 ? '' : index.toString(2).replaceAll('1', './').replaceAll('0', '/')
}

function restoreLines({ path, xattr: { name, value } }: Line): string {
  return `${fileHeading}${quotePath(path)}\n${quote(name, /[\\\n\r=]/g)}=${textOf(value)}\n\n`
}

/** Base64. Of nothing at all, setfattr 2.5 silently sets none when it comes first. */
function textOf(value: Uint8Array): string {
  if (value.length === 0) return '""'
  return `0s${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`
}

/**
 * The program complains in the order in which it was told, one line for each failure, and goes on. Lines that are
 * not of that kind are left as `rest`.
 */
function failuresIn(
  complaints: string,
  lines: readonly Line[],
): { readonly failures: XattrFailure[]; readonly rest: string } {
  const failures: XattrFailure[] = []
  let rest = complaints
  for (const { target, xattr, path } of lines) {
    const beginning = `setfattr: ${quotePath(path)}: `
    if (!rest.startsWith(beginning)) continue
    const end = rest.indexOf('\n')
    const errno = errnoOfReason(rest.slice(beginning.length, end))
    if (errno === undefined) continue
    failures.push({ target, xattr, errno })
    rest = rest.slice(end + 1)
  }
  return { failures, rest }
}

function quotePath(path: ByteString): string {
  return quote(path, /[\\\n\r]/g)
}

/** As setfattr reads it and writes it: a backslash and three octal digits. */
function quote(text: ByteString, special: RegExp): string {
  return text.replace(special, character => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

function unquote(text: string): ByteString {
  return asByteString(
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
  )
}
