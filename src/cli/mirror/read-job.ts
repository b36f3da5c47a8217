import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { DomainError, errnoOf } from '../../errors.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import { parseMirrorJob } from '../../registry/mirror/check-job.ts'

/** Characters: about ten thousand repositories. */
const maxFile = 4 * 1024 * 1024

/** A mirror job, alone in a file as YAML or JSON. @throws DomainError `invalid`. */
export async function readMirrorJob(path: string): Promise<MirrorJob> {
  const text = await textOf(path)
  if (text.length > maxFile) throw invalid(path, `it has more than ${maxFile} characters`)
  try {
    return parseMirrorJob(parse(text))
  } catch (cause) {
    // Files are the caller's: what is wrong with them is wrong use.
    if (cause instanceof DomainError)
      throw new DomainError('invalid', cause.message, { resource: 'config', name: path }, { cause })
    throw invalid(path, `it is not YAML: ${String(cause).split('\n', 1)[0]}`, cause)
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw invalid(path, `it cannot be read (${errnoOf(cause) ?? 'no reason given'})`, cause)
  }
}

function invalid(path: string, why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The file of a mirror job ${path} is not used: ${why}.`,
    { resource: 'config', name: path },
    { cause },
  )
}
