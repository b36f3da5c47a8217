import { createHash, type Hash, hash as hashAtOnce } from 'node:crypto'
import { _SHA256, _SHA512 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { DomainError } from '../errors.ts'

/** `algorithm:hex` of a registered algorithm; only {@link parseDigest} and the digesters make one. */
export type Digest = string & { readonly __brand: 'Digest' }
/** Digest of a layer's uncompressed tar stream (OCI image-spec, config.md, "Layer DiffID"). */
export type DiffId = Digest & { readonly __diffId: true }

export type DigestAlgorithm = 'sha256' | 'sha512'

/** Registered algorithms: image-spec descriptor.md, "Registered Algorithms". */
const hexLength: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 }
const grammar = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/

/** @throws DomainError `invalid` for bad grammar, an unregistered algorithm or upper-case hex. */
export function parseDigest(text: string): Digest {
  const [, algorithm, encoded] = grammar.exec(text) ?? []
  if (algorithm === undefined || encoded === undefined)
    throw invalidDigest(text, 'expected algorithm:hex, such as sha256:… with 64 hex digits')
  if (!isDigestAlgorithm(algorithm))
    throw invalidDigest(
      text,
      `the algorithm ${algorithm.slice(0, maxQuoted)} is not supported; use sha256 or sha512`,
    )
  if (encoded.length !== hexLength[algorithm] || !/^[0-9a-f]+$/.test(encoded))
    throw invalidDigest(text, `${algorithm} needs ${hexLength[algorithm]} lower-case hex digits`)
  return text as Digest
}

export function parseDiffId(text: string): DiffId {
  return parseDigest(text) as DiffId
}

export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(hexLength, text)
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm
}

/** The part after the colon. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** Digest of bytes that are in memory already: manifests, configs, chain IDs. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${hashAtOnce(algorithm, bytes, 'hex')}` as Digest
}

/** A running digest. `digest()` gives the digest of all bytes so far and may be called again later. */
export interface Digester {
  readonly algorithm: DigestAlgorithm
  update(bytes: Uint8Array): void
  digest(): Digest
}

/** For bulk streams: OpenSSL's speed, but its state dies with the process. */
export function createDigester(algorithm: DigestAlgorithm): Digester {
  return new BulkDigester(algorithm)
}

class BulkDigester implements Digester {
  readonly algorithm: DigestAlgorithm
  readonly #hash: Hash

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): Digest {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}` as Digest
  }
}

/** For chunked uploads: about 3.6 times slower, but any process can continue from its saved state. */
export interface ResumableDigester extends Digester {
  /** Opaque text that {@link resumeDigester} understands. */
  save(): string
}

export function createResumableDigester(algorithm: DigestAlgorithm): ResumableDigester {
  return new SavableDigester(algorithm, algorithm === 'sha256' ? new SavableSha256() : new SavableSha512())
}

/** @throws DomainError `invalid` when the text was not made by {@link ResumableDigester.save}. */
export function resumeDigester(saved: string): ResumableDigester {
  const [version, algorithm, words, buffer, length] = saved.split(' ')
  if (version !== stateVersion || algorithm === undefined || !isDigestAlgorithm(algorithm))
    throw new DomainError('invalid', 'the saved hash state is of an unknown form', { resource: 'upload' })
  const hash = algorithm === 'sha256' ? new SavableSha256() : new SavableSha512()
  hash.load((words ?? '').split(',').map(Number), Buffer.from(buffer ?? '', 'base64'), Number(length))
  return new SavableDigester(algorithm, hash)
}

/** Bump when the form changes or when the pinned @noble/hashes changes its fields. */
const stateVersion = 'h1'

interface HashState {
  readonly words: readonly number[]
  /** The bytes of the block that is not full yet. */
  readonly buffer: Uint8Array
  readonly length: number
}

class SavableSha256 extends _SHA256 {
  state(): HashState {
    return { words: this.get(), buffer: this.buffer.subarray(0, this.pos), length: this.length }
  }

  load(words: readonly number[], buffer: Uint8Array, length: number): void {
    this.set(...(words as Parameters<_SHA256['set']>))
    this.buffer.set(buffer)
    this.pos = buffer.length
    this.length = length
  }
}

class SavableSha512 extends _SHA512 {
  state(): HashState {
    return { words: this.get(), buffer: this.buffer.subarray(0, this.pos), length: this.length }
  }

  load(words: readonly number[], buffer: Uint8Array, length: number): void {
    this.set(...(words as Parameters<_SHA512['set']>))
    this.buffer.set(buffer)
    this.pos = buffer.length
    this.length = length
  }
}

class SavableDigester implements ResumableDigester {
  readonly algorithm: DigestAlgorithm
  readonly #hash: SavableSha256 | SavableSha512

  constructor(algorithm: DigestAlgorithm, hash: SavableSha256 | SavableSha512) {
    this.algorithm = algorithm
    this.#hash = hash
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): Digest {
    return `${this.algorithm}:${bytesToHex(this.#hash.clone().digest())}` as Digest
  }

  save(): string {
    const { words, buffer, length } = this.#hash.state()
    return [
      stateVersion,
      this.algorithm,
      words.join(','),
      Buffer.from(buffer).toString('base64'),
      length,
    ].join(' ')
  }
}

/** Characters of what is refused that an error repeats: more than any real digest has. */
const maxQuoted = 160

function invalidDigest(text: string, why: string): DomainError {
  return new DomainError('invalid', `${JSON.stringify(text.slice(0, maxQuoted))} is not a digest: ${why}.`, {
    resource: 'digest',
    name: text.slice(0, maxQuoted),
  })
}
