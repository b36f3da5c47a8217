import { join } from 'node:path'
import { type ClientRegistry, clientRegistryPrograms } from './client-registry.ts'
import { ensureGoProgram, skipWithoutGo } from './go.ts'
import { exec } from './process.ts'
import { skipWithout } from './programs.ts'

/** Clients that Debian has not got, by module and exact version. */
const goClients: Readonly<Record<GoClient, readonly [module: string, version: string]>> = {
  crane: ['github.com/google/go-containerregistry/cmd/crane', 'v0.22.1'],
  oras: ['oras.land/oras/cmd/oras', 'v1.2.3'],
  regctl: ['github.com/regclient/regclient/cmd/regctl', 'v0.11.7'],
}

export type GoClient = 'crane' | 'oras' | 'regctl'

/** Runs a client; answers its standard output. */
export type Run = (...args: readonly string[]) => Promise<string>

/** For `skip` of a suite with these clients and a registry for them. */
export async function skipWithoutClients(...clients: readonly GoClient[]): Promise<string | false> {
  const reason = await skipWithout(...clientRegistryPrograms)
  return reason === false ? await skipWithoutGo(...clients.map(client => goClients[client])) : reason
}

/** The client with a home of its own: it reads nothing that this machine's user has configured. */
export async function goClient(
  client: GoClient,
  { host, directory }: Pick<ClientRegistry, 'host' | 'directory'>,
): Promise<Run> {
  const program = await ensureGoProgram(...goClients[client])
  const home = join(directory, `${client}-home`)
  const env = { HOME: home, DOCKER_CONFIG: join(home, '.docker'), REGCTL_CONFIG: join(home, 'regctl.json') }
  // regctl is the only one that does not take a loopback address for plain HTTP by itself or by a flag of the command.
  const plain = client === 'regctl' ? ['--host', `reg=${host},tls=disabled`] : []
  return (...args) => exec(program, [...plain, ...args], { env, cwd: directory })
}
