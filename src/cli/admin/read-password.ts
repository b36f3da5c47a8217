import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { DomainError, errnoOf } from '../../errors.ts'

/** The first line of a file, or of standard input for `-`. Never an argument: those are seen by everybody (ps). */
export async function readPassword(file: string): Promise<string> {
  const [line = ''] = (await contentOf(file)).split(/\r?\n/, 1)
  if (line !== '') return line
  throw new DomainError(
    'invalid',
    `${file === '-' ? 'Standard input' : `The file ${file}`} has no password on its first line.`,
    { resource: 'config', name: '--password-file' },
  )
}

async function contentOf(file: string): Promise<string> {
  if (file === '-') return await text(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new DomainError(
      'invalid',
      `The file ${file} cannot be read (${errnoOf(cause) ?? 'no reason given'}).`,
      { resource: 'config', name: file },
      { cause },
    )
  }
}
