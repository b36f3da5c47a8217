import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { DomainError, errnoOf } from '../../errors.ts'
import type { AdminInput } from '../../registry/admin/administration.ts'

export type PolicyInput = AdminInput<'retention.add'>['policy']

/** Characters: an administration takes no more. */
const maxFile = 160 * 1024

/**
 * A retention policy, alone in a file as YAML or JSON. What is in it is checked where it is added.
 * @throws DomainError `invalid`.
 */
export async function readPolicy(path: string): Promise<PolicyInput> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw invalid(path, `it cannot be read (${errnoOf(cause) ?? 'no reason given'})`, cause)
  })
  if (text.length > maxFile) throw invalid(path, `it has more than ${maxFile} characters`)
  let value: unknown
  try {
    value = parse(text)
  } catch (cause) {
    throw invalid(path, `it is not YAML: ${String(cause).split('\n', 1)[0]}`, cause)
  }
  if (typeof value !== 'object' || value === null) throw invalid(path, 'it is no policy')
  // Whoever adds it checks it.
  return value as PolicyInput
}

function invalid(path: string, why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The file of a retention policy ${path} is not used: ${why}.`,
    { resource: 'config', name: path },
    { cause },
  )
}
