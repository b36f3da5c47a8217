import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { tenantOf } from '../../storage/accounts/names.ts'
import type { RepositoryRecords } from '../../storage/metadata/repository-records.ts'
import type { TenantRecords } from '../../storage/metadata/tenant-records.ts'
import { maxNameLength, parseRepositoryName, type RepositoryName } from '../../storage/reference.ts'
import { nameBelow, ownNameOf, type UpstreamNames, upstreamOf } from './upstream-names.ts'

/** Of a request, what says which repository it is about. */
export interface RequestedRepository {
  /** Of the route table. */
  readonly operation: string
  /** As in the path, not validated. */
  readonly name: string
  /** The parameter `ns` (distribution-spec, "Registry Proxying"); null where there is none. */
  readonly namespace: string | null
  /** The header `Host`. */
  readonly host: string | undefined
}

export interface MeantRepository {
  readonly repository: RepositoryName
  /** What `OCI-Namespace` answers: the `ns` that was heeded. */
  readonly namespace: string | undefined
}

/** CONTRACT. Which of our repositories a request is about, where that is another than the one in its path. */
export interface RepositoryNames {
  /**
   * Asked before anybody is let in: what it answers is all that is decided about, and all that logs and events name.
   * Undefined: the one in the path.
   * @throws DomainError `not_found` for what would have too long a name; `unavailable`.
   */
  meantBy(request: RequestedRepository, options?: Abortable): Promise<MeantRepository | undefined>
}

type OwnRecords = Pick<RepositoryRecords, 'hasRepository'> & Pick<TenantRecords, 'getTenant'>

/** What may be asked for at the root. Whatever changes something is about the repository in the path. */
const rootOperations: ReadonlySet<string> = new Set([
  'manifest.get',
  'manifest.head',
  'blob.get',
  'blob.head',
  'tags.list',
  'referrers',
])

/**
 * By path, by Host, by `ns`, or at the root. What a client wants of another registry, as `ns` says, is never
 * answered with what the one at the root has by the same name. At the root our own repositories come first, and so do all
 * names of our tenants, those too that nothing was ever stored under: nobody can put an image in the place of one of ours
 * by giving one the same name elsewhere.
 */
export class RequestedNames implements RepositoryNames {
  readonly #upstreams: readonly UpstreamNames[]
  readonly #records: OwnRecords

  constructor(upstreams: readonly UpstreamNames[], records: OwnRecords) {
    this.#upstreams = upstreams
    this.#records = records
  }

  async meantBy(request: RequestedRepository, options: Abortable = {}): Promise<MeantRepository | undefined> {
    const name = repositoryIn(request.name)
    if (name === undefined) return undefined
    const named = this.#namedUpstream(request)
    if (named !== undefined) return meant(named.upstream, name, named.namespace)
    const above = upstreamOf(this.#upstreams, name)
    if (above !== undefined) return meant(above, name, undefined)
    const root = this.#upstreams.find(upstream => upstream.root)
    if (root === undefined || !rootOperations.has(request.operation)) return undefined
    if (!isFor(root, request.namespace)) return undefined
    return (await this.#isOurs(name, options)) ? undefined : meant(root, name, undefined)
  }

  /** That which Host names, unless `ns` says that another registry is meant; else that which `ns` does. */
  #namedUpstream({
    name,
    namespace,
    host,
  }: RequestedRepository): { upstream: UpstreamNames; namespace: string | undefined } | undefined {
    const above = upstreamOf(this.#upstreams, name)
    const byNamespace = this.#upstreams.find(({ namespaces }) => namespaces.includes(namespace ?? ''))
    // With containerd's `override_path` the prefix is in the path, and `ns` comes all the same.
    const isInPath = above !== undefined && (above === byNamespace || above.registry === namespace)
    if (isInPath) return { upstream: above, namespace: namespace ?? undefined }
    const byHost = this.#upstreams.find(({ hosts }) => hosts.includes((host ?? '').toLowerCase()))
    // Of several upstreams that are the same registry, the host says which.
    if (byHost !== undefined && isFor(byHost, namespace))
      return { upstream: byHost, namespace: namespace === '' ? undefined : (namespace ?? undefined) }
    return namespace === null || byNamespace === undefined ? undefined : { upstream: byNamespace, namespace }
  }

  async #isOurs(name: RepositoryName, options: Abortable): Promise<boolean> {
    // A prefix of several components begins with one that is not a tenant's by necessity.
    const first = tenantOf(name)
    if (this.#upstreams.some(({ prefix }) => tenantOf(prefix) === first)) return true
    return (
      (await this.#records.hasRepository(name, options)) || (await isTenant(this.#records, first, options))
    )
  }
}

/** Whether what a client says that it wants of a registry can be wanted of this one. */
function isFor({ registry, namespaces }: UpstreamNames, namespace: string | null): boolean {
  return namespace === null || namespace === '' || namespace === registry || namespaces.includes(namespace)
}

async function isTenant(
  records: Pick<TenantRecords, 'getTenant'>,
  name: Parameters<TenantRecords['getTenant']>[0],
  options: Abortable,
): Promise<boolean> {
  try {
    await records.getTenant(name, options)
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}

function meant(
  upstream: UpstreamNames,
  name: RepositoryName,
  namespace: string | undefined,
): MeantRepository {
  const repository = ownNameOf(upstream, nameBelow(upstream.prefix, name) ?? name)
  if (repository !== undefined) return { repository, namespace }
  throw new DomainError(
    'not_found',
    `${name} is not here: below ${upstream.prefix} its name would be longer than ${maxNameLength} characters.`,
    { resource: 'repository', name },
  )
}

/** Undefined for what is no name, which is refused where others are. */
function repositoryIn(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text)
  } catch (error) {
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}
