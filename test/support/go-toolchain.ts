import { delimiter, join } from 'node:path'
import { exec } from './process.ts'
import { ensurePrograms, searchPath } from './programs.ts'

/** The compiler of every Go program here, whatever Go the machine has. */
const goVersion = 'go1.26.8'

/** Where Go's own installer puts it, which a plain user's PATH may lack. */
const installerPath = '/usr/local/go/bin'

export type GoEnvironment = Readonly<Record<string, string>>

/**
 * Answers the environment in which `go` builds, and installs Go first where there is none.
 *
 * @throws Error when Go is neither there nor to be had.
 */
export async function ensureGoToolchain(): Promise<GoEnvironment> {
  const environment = {
    PATH: [installerPath, searchPath].join(delimiter),
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=mod',
    GOTOOLCHAIN: goVersion,
  }
  if ((await versionOf(environment)) === undefined) await ensurePrograms('go')
  if ((await versionOf(environment)) === goVersion) return environment
  const root = await downloadToolchain(environment)
  return { ...environment, PATH: [join(root, 'bin'), environment.PATH].join(delimiter) }
}

/** Which Go answers: the one asked for, unless it is older than GOTOOLCHAIN (1.21), as Debian 12's is. */
async function versionOf(environment: GoEnvironment): Promise<string | undefined> {
  return await exec('go', ['env', 'GOVERSION'], { env: environment }).then(
    version => version.trim(),
    () => undefined,
  )
}

/**
 * What GOTOOLCHAIN does, for a Go that does not know it: toolchains are published as versions of a module
 * (go.dev/doc/toolchain, "Toolchain downloads"), checked against the checksum database like any other. Answers
 * its GOROOT.
 */
async function downloadToolchain(environment: GoEnvironment): Promise<string> {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const module = `golang.org/toolchain@v0.0.1-${goVersion}.${process.platform}-${architecture}`
  // Outside of a module, of which the directory of this process may have one.
  const output = await exec('go', ['mod', 'download', '-json', module], { env: environment, cwd: '/' })
  const { Dir: root } = JSON.parse(output) as { Dir: string }
  // Modules are unpacked without the right to run anything.
  await exec('find', [
    join(root, 'bin'),
    join(root, 'pkg/tool'),
    '-type',
    'f',
    '-exec',
    'chmod',
    'a+x',
    '{}',
    '+',
  ])
  return root
}
