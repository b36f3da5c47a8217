import * as z from 'zod'
import { defaultRegistry } from '../../reference.ts'
import type { Credentials } from './credentials.ts'

const helperName = z.string().regex(/^[A-Za-z0-9._-]+$/)

/** What is read of docker's `config.json`; all else in it is somebody else's. */
const schema = z.object({
  auths: z
    .record(
      z.string(),
      z.object({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        identitytoken: z.string().optional(),
        registrytoken: z.string().optional(),
      }),
    )
    .default({}),
  credHelpers: z.record(z.string(), helperName).default({}),
  credsStore: helperName.or(z.literal('')).optional(),
})

export type DockerConfig = z.output<typeof schema>

/** A program to ask, and what the registry is called there. */
export interface HelperCall {
  /** `docker-credential-` and this is its name. */
  readonly helper: string
  readonly server: string
}

type DockerAuth = DockerConfig['auths'][string]

/** Docker's name for Docker Hub in all its files. */
const dockerHubServer = 'https://index.docker.io/v1/'

/** @throws Error that may quote the text. */
export function parseDockerConfig(text: string): DockerConfig {
  return schema.parse(JSON.parse(text))
}

/** Credentials that stand in the file itself; those that a program has are {@link helperFor}'s. */
export function credentialsIn({ auths }: DockerConfig, registry: string): Credentials | undefined {
  const exact = auths[serverOf(registry)] ?? auths[registry]
  if (exact !== undefined) return credentialsOf(exact)
  const [, other] = Object.entries(auths).find(([key]) => registryOf(key) === registry) ?? []
  return other === undefined ? undefined : credentialsOf(other)
}

/** The program to ask: one that is there for the registry, else the one for all. */
export function helperFor(
  { credHelpers, credsStore }: DockerConfig,
  registry: string,
): HelperCall | undefined {
  const server = serverOf(registry)
  const own = [server, registry].find(key => Object.hasOwn(credHelpers, key))
  if (own !== undefined) return { helper: credHelpers[own] ?? '', server: own }
  return credsStore === undefined || credsStore === '' ? undefined : { helper: credsStore, server }
}

function serverOf(registry: string): string {
  return registry === defaultRegistry ? dockerHubServer : registry
}

/** Keys are hosts; old ones are URLs with a path. */
function registryOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/s, '')
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? defaultRegistry : host
}

/** Tokens before passwords, as docker has it; an entry that is empty says only that a program has them. */
function credentialsOf(entry: DockerAuth): Credentials | undefined {
  const { identitytoken, registrytoken, auth = '' } = entry
  if (registrytoken) return { kind: 'registry-token', token: registrytoken }
  if (identitytoken) return { kind: 'identity-token', token: identitytoken }
  // A password may have NULs at its end, by which old programs padded it.
  const decoded = Buffer.from(auth, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  const username = colon > 0 ? decoded.slice(0, colon) : (entry.username ?? '')
  const password = colon > 0 ? decoded.slice(colon + 1).replace(/\0+$/, '') : (entry.password ?? '')
  return username === '' ? undefined : { kind: 'password', username, password }
}
