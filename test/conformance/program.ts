import { createHash } from 'node:crypto'
import { access, cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheDirectory } from '../support/cache-directory.ts'
import { ensureGoToolchain } from '../support/go-toolchain.ts'
import { exec } from '../support/process.ts'
import { withMachineLock } from '../support/programs.ts'

const sources = join(import.meta.dirname, 'program')
const suite = 'github.com/opencontainers/distribution-spec/conformance'

/**
 * The path of the OCI conformance program in the version that `program/go.mod` pins, built once per machine. Its
 * checksums are those of `program/go.sum`: checksum databases do not know versions of it that have no tag.
 */
export async function ensureConformanceProgram(): Promise<string> {
  const key = createHash('sha256')
    .update(await readFile(join(sources, 'go.mod')))
    .digest('hex')
    .slice(0, 16)
  const directory = join(cacheDirectory(), 'go', `conformance-${key}`)
  const program = join(directory, 'conformance.test')
  await withMachineLock('go', async () => {
    if (!(await exists(program))) await build(directory)
  })
  return program
}

/** What `skip` of a suite wants. */
export async function skipWithoutConformanceProgram(): Promise<string | false> {
  try {
    await ensureConformanceProgram()
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function build(directory: string): Promise<void> {
  const env = { ...(await ensureGoToolchain()), GONOSUMDB: 'github.com/opencontainers/distribution-spec/*' }
  const module = await mkdtemp(join(tmpdir(), 'varve-conformance-'))
  try {
    await cp(sources, module, { recursive: true })
    await exec('go', ['test', '-c', '-o', join(module, 'built/conformance.test'), suite], {
      env,
      cwd: module,
    })
    await mkdir(join(directory, '..'), { recursive: true })
    await cp(join(module, 'built'), `${directory}.new`, { recursive: true })
    await rename(`${directory}.new`, directory)
  } finally {
    await rm(module, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
