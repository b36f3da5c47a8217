import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { withMachineLock } from '../../support/programs.ts'
import type { Row } from './matrix.ts'

const documentPath = join(import.meta.dirname, '../../../docs/crash-matrix.md')

/** Set by `make crash-matrix`: then the document is made to say what was found, and nothing is compared. */
const isRewriting = process.env['VARVE_CRASH_MATRIX'] === 'write'

/** Asserts that the document says under the title what was found, or makes it say so. */
export async function checkDocument(
  context: TestContext,
  title: string,
  rows: readonly Row[],
): Promise<void> {
  const kills = rows.reduce((sum, { outcomes }) => sum + Object.keys(outcomes).length, 0)
  context.diagnostic(`killed ${kills} times at ${rows.length} commands`)
  const section = formatSection(title, rows)
  if (isRewriting) return await writeSection(title, section)
  if (!isOnFuse) {
    if (section !== (await readSection(title)))
      context.diagnostic(`other commands than with zfs-fuse:\n${section}`)
    return
  }
  assert.equal(section, await readSection(title), 'docs/crash-matrix.md is behind: make crash-matrix')
}

/** The document has the commands of zfs-fuse; a store finds out what its ZFS can do, and may ask another for others. */
const isOnFuse = !existsSync('/dev/zfs')

/** As the document has it. */
function formatSection(title: string, rows: readonly Row[]): string {
  const header = ['#', 'command', 'killed before it', 'killed after it', 'killed before it, and it runs late']
  const lines = rows.map(({ command, outcomes: { before, after, late } }, index) => [
    String(index + 1),
    `\`${command}\``,
    before ?? '',
    after ?? '',
    late ?? '',
  ])
  const table = [header, header.map(() => '---'), ...lines].map(cells => `| ${cells.join(' | ')} |`)
  return [`## ${title}`, '', ...table].join('\n')
}

/** What the document says under a title; `undefined` when there is no such title. */
async function readSection(title: string): Promise<string | undefined> {
  return sectionsOf(await readFile(documentPath, 'utf8')).find(section => isAbout(section, title))
}

/** In place of what the document said under the title, or at its end. */
async function writeSection(title: string, section: string): Promise<void> {
  await withMachineLock('crash-matrix', async () => {
    const sections = sectionsOf(await readFile(documentPath, 'utf8'))
    const at = sections.findIndex(other => isAbout(other, title))
    if (at < 0) sections.push(section)
    else sections[at] = section
    await writeFile(documentPath, `${sections.join('\n\n')}\n`)
  })
}

/** What is before the first title comes first. */
function sectionsOf(text: string): string[] {
  return text.trimEnd().split(/\n+(?=## )/)
}

function isAbout(section: string, title: string): boolean {
  return section.startsWith(`## ${title}\n`)
}
