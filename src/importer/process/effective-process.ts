import type { ProcessConfig } from '../../storage/image-config.ts'
import type { ProcessUser } from './resolve-user.ts'

/** What a container of an image runs when nobody says otherwise. Every string is a stranger's. */
export interface EffectiveProcess {
  /** Entrypoint, then command. Empty when the image has neither: whoever starts it must say what. */
  readonly args: readonly string[]
  /** `NAME=value`, each name once; PATH and HOME are always there. */
  readonly env: readonly string[]
  /** Absolute. */
  readonly cwd: string
  readonly user: ProcessUser
}

/** What Docker and containerd give to an image that names none. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Source: OCI image-spec, config.md, "Config"; OCI image-spec, conversion.md. */
export function effectiveProcessOf(
  { Entrypoint = [], Cmd = [], Env = [], WorkingDir = '' }: ProcessConfig,
  user: ProcessUser,
): EffectiveProcess {
  return {
    args: [...Entrypoint, ...Cmd],
    env: environmentOf(Env, user.home),
    cwd: WorkingDir.startsWith('/') ? WorkingDir : `/${WorkingDir}`,
    user,
  }
}

/** The last of equal names wins. What has no name is left out, as execve(2)'s callers cannot say it. */
function environmentOf(declared: readonly string[], home: string): string[] {
  const variables = new Map([
    ['PATH', defaultPath],
    ['HOME', home],
  ])
  for (const text of declared) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (name !== undefined && value !== undefined) variables.set(name, value)
  }
  return [...variables].map(([name, value]) => `${name}=${value}`)
}
