import { isDomainError } from '../../errors.ts'
import { maxNameLength, parseRepositoryName, type RepositoryName } from '../../storage/reference.ts'

/** By which names the repositories of an upstream are asked for. */
export interface UpstreamNames {
  /** What our names begin with: one component or several. No upstream's prefix is below another's. */
  readonly prefix: RepositoryName
  /** `host[:port]`, as image names have it. */
  readonly registry: string
  /** Values of the parameter `ns` that mean it: what containerd calls the registry of an image. */
  readonly namespaces: readonly string[]
  /** Values of the header `Host` that mean it, in lower case, with the port where clients send one. */
  readonly hosts: readonly string[]
  /** Whether it answers at the root for names that are nobody's here. One upstream at most does. */
  readonly root: boolean
  /** Put before the names that upstream is asked for; empty for nothing. */
  readonly repositoryPrefix: string
  /** Whether a name of one word means one below `library/`, as at Docker Hub. */
  readonly library: boolean
}

/** What we call a repository of upstream. Undefined where that could be nobody's name: it would be too long. */
export function ownNameOf(
  { prefix, library }: Pick<UpstreamNames, 'prefix' | 'library'>,
  name: string,
): RepositoryName | undefined {
  const full = library && !name.includes('/') ? `library/${name}` : name
  return parsed(`${prefix}/${full}`)
}

/**
 * What upstream calls one of our repositories. Undefined where the repository is not below the prefix, or its name could
 * be nobody's there.
 */
export function sourceNameOf(
  { prefix, repositoryPrefix }: Pick<UpstreamNames, 'prefix' | 'repositoryPrefix'>,
  repository: RepositoryName,
): RepositoryName | undefined {
  const name = nameBelow(prefix, repository)
  return name === undefined ? undefined : parsed(repositoryPrefix + name)
}

/** What comes after the prefix and its slash. */
export function nameBelow(prefix: RepositoryName, name: string): string | undefined {
  return name.startsWith(`${prefix}/`) ? name.slice(prefix.length + 1) : undefined
}

/** The one whose prefix the name is below. */
export function upstreamOf<Names extends Pick<UpstreamNames, 'prefix'>>(
  upstreams: readonly Names[],
  name: string,
): Names | undefined {
  return upstreams.find(({ prefix }) => nameBelow(prefix, name) !== undefined)
}

/**
 * Our names of what a client may mean by a name at the root, or at a host of an upstream's own: for whoever gives tokens,
 * who sees neither the path nor the host that the token is for.
 */
export function alsoMeant(upstreams: readonly UpstreamNames[], name: string): RepositoryName[] {
  if (upstreamOf(upstreams, name) !== undefined) return belowLibrary(upstreams, name)
  return upstreams
    .filter(({ root, hosts }) => root || hosts.length > 0)
    .flatMap(upstream => ownNameOf(upstream, name) ?? [])
}

/** `docker.io/debian` is asked for as `docker.io/library/debian`. */
function belowLibrary(upstreams: readonly UpstreamNames[], name: string): RepositoryName[] {
  const upstream = upstreamOf(upstreams, name)
  const rest = upstream && nameBelow(upstream.prefix, name)
  if (upstream === undefined || rest === undefined) return []
  const own = ownNameOf(upstream, rest)
  return own === undefined || own === name ? [] : [own]
}

function parsed(text: string): RepositoryName | undefined {
  if (text.length > maxNameLength) return undefined
  try {
    return parseRepositoryName(text)
  } catch (error) {
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}
