import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { cacheDirectory } from './cache-directory.ts'
import { ensureGoToolchain } from './go-toolchain.ts'
import { exec } from './process.ts'
import { withMachineLock } from './programs.ts'

/**
 * The path of a Go program, built from exactly this version of its module and kept from one run to the next.
 *
 * @param module import path of the program's `main` package.
 * @param version exact: a tag or a pseudo-version, never a branch or `latest`.
 * @throws Error when Go is neither there nor to be had, or when the module cannot be fetched or built.
 */
export async function ensureGoProgram(module: string, version: string): Promise<string> {
  if (!/^v\d+\.\d+\.\d+/.test(version)) throw new Error(`${module}: ${version} is not an exact version`)
  const name = programNameOf(module)
  const program = join(cacheDirectory(), 'go', `${name}@${version}`, name)
  if (await isExecutable(program)) return program
  // Test files run as processes of their own; one builds and the others find what it built.
  await withMachineLock('go', async () => {
    if (!(await isExecutable(program))) await install(module, version, program)
  })
  return program
}

/**
 * Builds what is missing and answers what `skip` of a suite wants: `false` when all programs are there, else the
 * reason why the suite cannot run here. The runner turns such a skip into a failure under CI.
 */
export async function skipWithoutGo(
  ...programs: readonly (readonly [module: string, version: string])[]
): Promise<string | false> {
  try {
    for (const [module, version] of programs) await ensureGoProgram(module, version)
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Go names a program after the last part of its path; a major version is no such part. */
function programNameOf(module: string): string {
  const parts = module.split('/').filter(part => !/^v\d+$/.test(part))
  return basename(parts.join('/'))
}

async function install(module: string, version: string, program: string): Promise<void> {
  const env = await ensureGoToolchain()
  const directory = join(program, '..')
  await mkdir(join(directory, '..'), { recursive: true })
  const building = await mkdtemp(`${directory}-`)
  const source = await mkdtemp(join(tmpdir(), 'varve-go-'))
  const go = (...args: readonly string[]): Promise<string> => exec('go', args, { env, cwd: source })
  try {
    // In a module of our own: `go install` would ask for the list of all versions, which not every proxy has.
    await go('mod', 'init', 'build')
    await go('mod', 'edit', '-require', `${moduleOf(module)}@${version}`)
    await go('build', '-o', join(building, basename(program)), module)
    await rm(directory, { recursive: true, force: true })
    await rename(building, directory)
  } finally {
    await rm(building, { recursive: true, force: true })
    await rm(source, { recursive: true, force: true })
  }
}

/** Programs live in the `cmd` folder of their module, or at its root. */
function moduleOf(program: string): string {
  return program.split('/cmd/', 1)[0] ?? program
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
