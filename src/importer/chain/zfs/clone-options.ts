import { DomainError } from '../../../errors.ts'
import type { CloneName, CloneOptions } from '../chain-store.ts'
import type { Listed } from './properties.ts'

/** What a clone may be given besides what every clone has. */
interface Allowed {
  /** For the one who reads what there is. */
  readonly values: string
  /** Why whoever asks for a clone may decide it. */
  readonly reason: string
  /** As `zfs get -p` shows it; `undefined` for what is no value of it. */
  readonly canonical: (value: string) => string | undefined
}

const onOrOff = oneOf('on', 'off')
const limit = { values: 'bytes, as 512M or 10G, or none', canonical: bytesOrNone }

/**
 * Everything else is refused: `mountpoint` is an option of its own, `canmount` and `zoned` would leave the clone without the
 * mounted tree that is promised, `devices` stays off, and nobody can give what this table does not know.
 */
const allowed: Readonly<Record<string, Allowed>> = {
  quota: { ...limit, reason: 'how much the clone may take, its snapshots included' },
  refquota: { ...limit, reason: 'how much the clone may take, without its snapshots' },
  reservation: { ...limit, reason: 'space that is kept free for it' },
  refreservation: { ...limit, reason: 'space that is kept free for it, without its snapshots' },
  compression: {
    values: 'on, off, lz4, zstd, zstd-1 to zstd-19, gzip, gzip-1 to gzip-9, zle, lzjb',
    reason: 'of what is written from now on',
    canonical: compression,
  },
  atime: { ...onOrOff, reason: 'whether reading a file changes its access time' },
  relatime: { ...onOrOff, reason: 'whether it does so once a day at most' },
  recordsize: {
    values: 'a power of two from 512 to 16M',
    reason: 'for databases that write small blocks',
    canonical: recordSize,
  },
  logbias: { ...oneOf('latency', 'throughput'), reason: 'what synchronous writes are tuned for' },
  sync: { ...oneOf('standard', 'always', 'disabled'), reason: "the clone's own last seconds are at stake" },
  readonly: { ...onOrOff, reason: 'takes rights away only' },
  exec: { ...onOrOff, reason: 'every clone may, unless this takes it away' },
  setuid: { ...onOrOff, reason: 'every clone may, unless this takes it away' },
  snapdir: { ...oneOf('hidden'), reason: 'a visible .zfs is of use to nobody inside the tree' },
}

/** zfsprops(7), "User Properties". */
const userProperty = /^(?=.{1,255}$)[a-z0-9._+-]*:[a-z0-9:._+-]*$/
const ours = /^varve:/
const maxUserValueBytes = 1023

/** Options as they are written into a new clone, and compared with one that is there. */
export interface CloneRequest {
  readonly mountpoint: string | undefined
  /** Values as `zfs get -p` shows them. */
  readonly properties: Readonly<Record<string, string>>
}

/** @throws DomainError `invalid` for what cannot be asked for. */
export function cloneRequestOf(name: CloneName, options: CloneOptions): CloneRequest {
  const asked = { ...options.properties }
  if (options.quota !== undefined) {
    if (asked['quota'] !== undefined) throw invalid(name, 'quota is given twice; leave one of them out')
    asked['quota'] = String(options.quota)
  }
  const properties = Object.entries(asked).map(([property, value]) => [
    property,
    canonicalValue(name, property, value),
  ])
  return {
    mountpoint: options.mountpoint,
    properties: Object.fromEntries(properties) as Record<string, string>,
  }
}

/** What a clone has that was asked for otherwise, in words; `undefined` when it is as it was asked for. */
export function differenceOf({ mountpoint, properties }: CloneRequest, listed: Listed): string | undefined {
  const wanted = { ...properties, ...(mountpoint === undefined ? {} : { mountpoint }) }
  const different = Object.entries(wanted).find(([property, value]) => listed.get(property) !== value)
  return different && `${different[0]}=${listed.get(different[0]) ?? 'none'}, not ${different[1]}`
}

function canonicalValue(name: CloneName, property: string, value: string): string {
  if (userProperty.test(property) && !ours.test(property)) {
    if (isUserValue(value)) return value
    throw invalid(
      name,
      `${property} takes up to ${maxUserValueBytes} bytes of text without control characters`,
    )
  }
  const known = Object.hasOwn(allowed, property) ? allowed[property] : undefined
  if (known === undefined)
    throw invalid(
      name,
      `the property ${JSON.stringify(property.slice(0, 100))} cannot be given to a clone; these can: ${Object.keys(allowed).join(', ')}, and user properties such as com.example:owner`,
    )
  const canonical = known.canonical(value)
  if (canonical === undefined)
    throw invalid(
      name,
      `${property} cannot be ${JSON.stringify(value.slice(0, 100))}; it takes ${known.values}`,
    )
  return canonical
}

function isUserValue(value: string): boolean {
  // `-` is how zfs writes that there is no value.
  return (
    value !== '' && value !== '-' && Buffer.byteLength(value) <= maxUserValueBytes && !/\p{Cc}/u.test(value)
  )
}

function oneOf(...values: readonly string[]): Pick<Allowed, 'values' | 'canonical'> {
  return {
    values: values.join(' or '),
    canonical: value => (values.includes(value) ? value : undefined),
  }
}

const unitPowers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4, P: 5 }

function bytes(value: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,16})([KMGTP]?)(?:i?B)?$/i.exec(value) ?? []
  const amount = Number(digits) * 1024 ** (unitPowers[unit.toUpperCase()] ?? Number.NaN)
  return Number.isSafeInteger(amount) ? amount : undefined
}

function bytesOrNone(value: string): string | undefined {
  return value === 'none' ? '0' : bytes(value)?.toString()
}

function recordSize(value: string): string | undefined {
  const size = bytes(value)
  return size !== undefined && size >= 512 && size <= 2 ** 24 && Number.isInteger(Math.log2(size))
    ? String(size)
    : undefined
}

/** What zfs shows for another name of the same. */
const defaultLevels: Readonly<Record<string, string>> = {
  'gzip-6': 'gzip',
  'zstd-3': 'zstd',
  'zstd-fast-1': 'zstd-fast',
}

function compression(value: string): string | undefined {
  const isKnown =
    /^(?:on|off|lz4|lzjb|zle|gzip(?:-[1-9])?|zstd(?:-(?:[1-9]|1\d))?|zstd-fast(?:-(?:10|[1-9]0?|100|500|1000))?)$/.test(
      value,
    )
  return isKnown ? (defaultLevels[value] ?? value) : undefined
}

function invalid(name: CloneName, why: string): DomainError {
  return new DomainError('invalid', `The clone ${name} cannot be made so: ${why}.`, {
    resource: 'clone',
    name,
  })
}
