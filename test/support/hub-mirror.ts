import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Login, startAccountRegistry } from './account-registry.ts'
import type { AuthMode } from './authorized-client.ts'
import { passwordOf } from './known-identities.ts'
import { type ServedRegistry, serveRegistry } from './served-registry.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export const mirrorModes = ['none', 'token', 'basic'] as const
export type MirrorMode = (typeof mirrorModes)[number]

/**
 * `varve serve` in front of a hub, with no fresh tags: as `docker.io`, for everybody, and, where there are accounts, as
 * `acme/hub`, for members of `acme`, with the tenant's own user at the hub.
 */
export interface HubMirror extends AsyncDisposable {
  readonly mode: MirrorMode
  readonly url: string
  /** `127.0.0.1:port`. */
  readonly host: string
  /** Where clients work. Goes with the registry. */
  readonly directory: string
  /** Of a guest of `acme` (`gina`), or of somebody who belongs to nothing (`zoe`). Undefined where nobody is asked. */
  login(name: 'gina' | 'zoe'): Login | undefined
  /** Where everybody is asked who they are: a login even for what is public. */
  readonly anybody: Login | undefined
}

export interface HubMirrorOptions {
  /** Whether docker.io is at the root. */
  readonly root?: boolean
  readonly tagFreshSeconds?: number
  /** Further settings of the configuration. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** The upstreams as `varve.yaml` has them. */
export function hubUpstreams(
  registry: string,
  { root = false, tagFreshSeconds = 0 }: HubMirrorOptions = {},
): object[] {
  return [
    {
      ...{ name: 'docker.io', registry, prefix: 'docker.io', namespaces: ['docker.io'] },
      ...{ root, library: true, tagFreshSeconds },
    },
  ]
}

export async function startHubMirror(
  mode: MirrorMode,
  hub: string,
  options: HubMirrorOptions = {},
): Promise<HubMirror> {
  return mode === 'none' ? await openMirror(hub, options) : await closedMirror(mode, hub, options)
}

async function openMirror(hub: string, options: HubMirrorOptions): Promise<HubMirror> {
  await using stack = new AsyncDisposableStack()
  const { path: directory } = stack.use(await temporaryDirectory())
  const config = join(directory, 'varve.yaml')
  await writeFile(config, JSON.stringify({ ...options.settings, upstreams: hubUpstreams(hub, options) }))
  const served: ServedRegistry = stack.use(await serveRegistry(join(directory, 'data'), '--config', config))
  const { url } = served
  const owned = stack.move()
  return {
    mode: 'none',
    url,
    host: new URL(url).host,
    directory,
    login: () => undefined,
    anybody: undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function closedMirror(mode: AuthMode, hub: string, options: HubMirrorOptions): Promise<HubMirror> {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await temporaryDirectory())
  const passwordFile = join(path, 'hub-password')
  await writeFile(passwordFile, passwordOf('us'), { mode: 0o600 })
  const [open] = hubUpstreams(hub, options)
  const { tagFreshSeconds = 0 } = options
  const ours = { name: 'acme-hub', registry: hub, prefix: 'acme/hub', namespaces: [], credentials: 'us' }
  const registry = stack.use(
    await startAccountRegistry(mode, {
      settings: {
        ...options.settings,
        upstreams: [open, { ...ours, tagFreshSeconds }],
        remote: { credentials: [{ name: 'us', registry: hub, username: 'us', passwordFile }] },
      },
    }),
  )
  await registry.varve('tenant', 'create', 'docker.io', '--visibility', 'public')
  const owned = stack.move()
  return {
    mode,
    url: registry.url,
    host: registry.host,
    directory: registry.directory,
    login: name => registry.login(name),
    anybody: mode === 'basic' ? registry.login('zoe') : undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
