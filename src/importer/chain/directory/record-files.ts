import { randomUUID } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { DomainError, isDomainError } from '../../../errors.ts'
import { type ChainId, parseChainId } from '../../../storage/chain-id.ts'
import { type Digest, parseDiffId, parseDigest } from '../../../storage/digest.ts'
import type { LayerFacts } from '../chain-store.ts'
import { onDisk } from '../fs-errors.ts'
import { notesSchema } from '../layer-notes.ts'

/** `varve.json`: only a directory that has it is ours to change. */
export const markSchema = z.object({ kind: z.literal('varve chains'), version: z.literal(1) })
export const mark: z.infer<typeof markSchema> = { kind: 'varve chains', version: 1 }

const unfinishedSuffix = '.new'

const chainSchema = z.string().transform(parseChainId)

/** `facts.json`. */
export const factsSchema = z.object({
  chain: chainSchema,
  diffId: z.string().transform(parseDiffId),
  blob: z.string().transform(parseDigest),
  parent: chainSchema.nullable(),
  entries: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  notes: notesSchema.optional(),
})

/** `clone.json`. */
export const cloneSchema = z.object({
  chain: chainSchema,
  createdAt: z.iso.datetime().transform(text => new Date(text)),
  manifestDigest: z.string().transform(parseDigest).optional(),
})

export interface FactsRecord extends LayerFacts {
  readonly chain: ChainId
}

export interface CloneRecord {
  readonly chain: ChainId
  readonly createdAt: Date
  readonly manifestDigest?: Digest | undefined
}

/** `undefined` when there is no such file. @throws DomainError `conflict` when it is not what we wrote. */
export async function readRecord<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.infer<Schema> | undefined> {
  let text: string
  try {
    text = await onDisk(path, () => readFile(path, 'utf8'))
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    const message = `${path} is not what Varve wrote there; remove its directory and import the image again.`
    throw new DomainError('conflict', message, { resource: 'chain', name: path }, { cause })
  }
}

/** Writes a new file and waits until the disk has it. @throws DomainError `already_exists`. */
export async function writeRecord(path: string, record: object): Promise<void> {
  await onDisk(path, async () => {
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(`${JSON.stringify(record, undefined, 2)}\n`)
    await file.sync()
  })
}

/** As {@link writeRecord}, for a file that others may look for at any moment: it is there whole, or not at all. */
export async function writeWholeRecord(path: string, record: object): Promise<void> {
  const temporary = `${path}.${randomUUID()}${unfinishedSuffix}`
  try {
    await writeRecord(temporary, record)
    // Unlike a rename, a link replaces nothing.
    await onDisk(path, () => link(temporary, path))
  } finally {
    await onDisk(temporary, () => rm(temporary, { force: true }))
  }
  await syncDirectory(dirname(path))
}

/** Whether the name is of a file that {@link writeWholeRecord} had not ended with when somebody looked, or was killed. */
export function isUnfinishedRecord(name: string): boolean {
  return name.endsWith(unfinishedSuffix)
}

/** Makes new and renamed entries of a directory survive a crash of the machine. */
export async function syncDirectory(path: string): Promise<void> {
  await onDisk(path, async () => {
    await using directory = await open(path, 'r')
    await directory.sync()
  })
}
