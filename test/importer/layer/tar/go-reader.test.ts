import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { asByteString, bytesOf, type ByteString } from '../../../../src/importer/layer/byte-string.ts'
import type { Segment, Xattr } from '../../../../src/importer/layer/entry.ts'
import { joinPath, parseEntryPath } from '../../../../src/importer/layer/entry-path.ts'
import { isDomainError } from '../../../../src/errors.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import {
  type GoEntry,
  type GoReading,
  GoTar,
  skipWithoutGoTar,
  toldContentBytes,
} from '../../../support/go-tar.ts'
import { archives } from './odd-archives.ts'
import { read, type Seen } from './read.ts'

/** What we refuse though Go reads it, each with its reason. */
const deliberate: readonly (readonly [why: string, refusal: RegExp])[] = [
  ['others skip that content, so they read its bytes as other entries than Go', /claims to have content/],
  ['GNU tar and bsdtar make it a directory', /the directory .* has content/],
  ['each reader prefers another name', /both a PAX header and a long name/],
  [
    'GNU tar names it "", Go and bsdtar as its header does',
    /an empty (long name|path|linkpath|size|uid|gid|mtime)/,
  ],
  ['Go forgets the PAX header then, GNU tar and bsdtar do not', /a global PAX header stands between/],
  ['a sound archive does not end there', /ends where an entry should follow|ends in the middle of an entry/],
  ['no builder writes it, and tar-stream refuses it', /of no known format/],
  ['engines refuse it after Go has read it', /of the unknown type|has no target|with no name/],
  ['no reader of such a form would be sure of its content', /is a sparse file of a form that is not known/],
  [
    'its map lacks, repeats or exceeds something that Go leaves unread',
    /map of the sparse file|the size of the sparse file/,
  ],
  [
    'chown(2) takes -1 for "leave it", and others read signs and spaces in other ways',
    /the [ug]id of .* is not a number/,
  ],
  ['the same for times and sizes', /the [acm]time of .* is not a number|a PAX header gives .* the size/],
  ['bsdtar reads 0 there', /in the tar header of .* is not a number|has the wrong checksum/],
  ['no mode is', /the mode in the tar header of .* is negative or too large/],
  ['readers disagree about signs and zeros before a length', /a PAX header has a broken record/],
  ['readers disagree about clamping', /the path .* (has a component|is longer|has more than)/],
  ['no such name can be set', /an extended attribute without a name/],
  ['no file system has it', /the target of the symlink .* is longer/],
]

describe("the same entries as Go's archive/tar", { skip: await skipWithoutGoTar(), timeout: 300_000 }, () => {
  let go: GoTar
  before(async () => {
    go = await GoTar.start()
  })
  after(async () => await go[Symbol.asyncDispose]())

  it('in any archive that we take, and what we refuse Go refuses, or it is listed why', async () => {
    const count = { same: 0, bothRefused: 0, listed: 0 }
    await fc.assert(
      fc.asyncProperty(archives(), async archive => {
        const theirs = await go.read(archive)
        const ours = await read(archive, 5000).catch((error: unknown) => error)
        if (Array.isArray(ours)) {
          assert.equal(theirs.Error, '', 'Go refuses what we take')
          assert.deepEqual(ours.map(ourEntry), theirEntries(theirs))
          count.same++
        } else if (theirs.Error !== '') {
          assert.ok(isDomainError(ours), String(ours))
          count.bothRefused++
        } else {
          assert.ok(isDomainError(ours), String(ours))
          const isListed = deliberate.some(([, refusal]) => refusal.test(ours.message))
          assert.ok(isListed || ours.code === 'too_large', `Go reads it, but: ${ours.message}`)
          count.listed++
        }
      }),
      { numRuns: 3000 },
    )
    // All three happen, so all three are tested.
    assert.ok(Math.min(...Object.values(count)) > 50, JSON.stringify(count))
  })
})

interface Comparable {
  readonly type: string
  readonly path: string
  readonly [key: string]: unknown
}

function ourEntry({ type, path, content, segments, target, xattrs, ...rest }: Seen): Comparable {
  const attributes =
    type === 'hardlink'
      ? {}
      : { mode: rest['mode'], uid: rest['uid'], gid: rest['gid'], mtime: milliseconds(Number(rest['mtime'])) }
  return {
    type,
    path,
    ...attributes,
    ...(target === undefined
      ? {}
      : { target: typeof target === 'string' ? target : joinPath(target as ByteString[]) }),
    ...(type === 'file'
      ? { content: expanded(content ?? '', Number(rest['size']), segments as readonly Segment[] | undefined) }
      : {}),
    ...(xattrs === undefined
      ? {}
      : {
          xattrs: Object.fromEntries(
            (xattrs as readonly Xattr[]).map(({ name, value }) => [
              bytesOf(name).toString(),
              Buffer.from(value).toString('base64'),
            ]),
          ),
        }),
  }
}

function expanded(stored: string, size: number, segments: readonly Segment[] | undefined): string {
  if (segments === undefined) return Buffer.from(stored, 'latin1').toString('base64')
  const whole = Buffer.alloc(Math.min(size, toldContentBytes))
  let from = 0
  for (const { offset, length } of segments) {
    if (offset < whole.length) whole.write(stored.slice(from, from + length), offset, 'latin1')
    from += length
  }
  return whole.toString('base64')
}

/** All but global headers, which apply to nothing. */
function theirEntries({ Entries }: GoReading): Comparable[] {
  return Entries.filter(({ Type }) => Type !== 'g').map(theirEntry)
}

function theirEntry(entry: GoEntry): Comparable {
  const name = text(entry.Name)
  const type = name.endsWith('/') && '07'.includes(entry.Type) ? 'directory' : typeOf[entry.Type]
  const time = entry.Seconds + entry.Nanos / 1e9
  const attributes =
    type === 'hardlink'
      ? {}
      : {
          mode: Number(BigInt.asUintN(12, BigInt(entry.Mode))),
          uid: entry.Uid,
          gid: entry.Gid,
          mtime: milliseconds(Math.min(Math.max(time, 0), 9_223_372_036)),
        }
  return {
    type: type ?? entry.Type,
    path: pathOf(name),
    ...attributes,
    ...(type === 'symlink' ? { target: text(entry.Linkname) } : {}),
    ...(type === 'hardlink' ? { target: pathOf(text(entry.Linkname)) } : {}),
    ...(type === 'file' ? { content: entry.Content } : {}),
    ...(type === 'file' || type === 'directory' || type === 'symlink' ? { xattrs: entry.Xattrs } : {}),
  }
}

const typeOf: Readonly<Record<string, string>> = {
  0: 'file',
  7: 'file',
  S: 'file',
  1: 'hardlink',
  2: 'symlink',
  3: 'device',
  4: 'device',
  5: 'directory',
  6: 'fifo',
}

function text(base64: string | null): string {
  return Buffer.from(base64 ?? '', 'base64').toString('latin1')
}

function pathOf(name: string): string {
  return joinPath(parseEntryPath(asByteString(name), defaultLayerLimits))
}

/** As exact as a number of seconds is at any time that is tested. */
function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000)
}
