import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { HopId } from '../../storage/remote/hops.ts'
import type { PullQuota, RemoteRegistries, RemoteRegistry } from '../../storage/remote/remote-registries.ts'
import type { Upstream, UpstreamRepository, UpstreamSettings, Upstreams } from './upstream.ts'
import { type AskOutcome, UpstreamGate } from './upstream-gate.ts'
import { sourceNameOf, type UpstreamNames, upstreamOf } from './upstream-names.ts'

/** An upstream as the configuration has it. */
export interface ConfiguredUpstream extends UpstreamNames {
  readonly name: string
  /** Name of configured credentials; null: nobody's, so that none are sent that only happen to fit. */
  readonly credentials: string | null
  readonly settings: UpstreamSettings
}

/** Told of the traffic with upstreams, for metrics. */
export interface UpstreamObserver {
  asked?(upstream: string, outcome: AskOutcome): void
  /** What upstream has said of how much may still be pulled. */
  quota?(upstream: string, quota: PullQuota): void
  /** It is left alone from now on. */
  blocked?(upstream: string, block: UpstreamBlock): void
  /** It has answered again. */
  freed?(upstream: string): void
}

export interface UpstreamBlock {
  readonly by: DomainError
  readonly forMs: number
  /** What it has last said. */
  readonly pullQuota: PullQuota | undefined
}

export interface UpstreamState {
  readonly name: string
  /** Seconds for which it is left alone; 0 when it is asked. */
  readonly closedSeconds: number
  readonly pullQuota: PullQuota | undefined
}

/** Tries of one request. A client waits for the answer, and there is often a copy that it can have instead. */
const attempts = 3
const maxWaitMs = 3_000

/** Each with connections and tokens of its own user, and a gate of its own. */
export class ConfiguredUpstreams implements Upstreams {
  readonly #upstreams: readonly OpenedUpstream[]

  /**
   * @param self what this registry is called where its questions are passed on; nothing unless given.
   * @throws DomainError `invalid`, `denied` for credentials that there are not, or that are for another registry.
   */
  constructor(
    upstreams: readonly ConfiguredUpstream[],
    remote: Pick<RemoteRegistries, 'open'>,
    observer: UpstreamObserver = {},
    self?: HopId,
  ) {
    this.#upstreams = upstreams.map(upstream => new OpenedUpstream(upstream, remote, observer, self))
  }

  of(repository: RepositoryName, hops: readonly HopId[] = []): UpstreamRepository | undefined {
    return upstreamOf(this.#upstreams, repository)?.repository(repository, hops)
  }

  states(): readonly UpstreamState[] {
    return this.#upstreams.map(upstream => upstream.state)
  }
}

class OpenedUpstream implements Upstream {
  readonly name: string
  readonly prefix: RepositoryName
  readonly settings: UpstreamSettings
  readonly #names: UpstreamNames
  readonly #self: HopId | undefined
  readonly #gate: UpstreamGate
  readonly #registry: RemoteRegistry

  constructor(
    { name, credentials, settings, ...names }: ConfiguredUpstream,
    remote: Pick<RemoteRegistries, 'open'>,
    observer: UpstreamObserver,
    self: HopId | undefined,
  ) {
    this.#self = self
    this.name = name
    this.prefix = names.prefix
    this.settings = settings
    this.#names = names
    this.#gate = new UpstreamGate({
      name,
      onAnswer: outcome => observer.asked?.(name, outcome),
      onBlocked: (by, forMs) => observer.blocked?.(name, { by, forMs, pullQuota: this.#registry.pullQuota }),
      onFreed: () => observer.freed?.(name),
    })
    this.#registry = remote.open(names.registry, {
      credentials,
      retries: { attempts, maxWaitMs },
      traffic: {
        request: () => {},
        bytes: () => {},
        quota: quota => observer.quota?.(name, quota),
      },
    })
  }

  get state(): UpstreamState {
    return {
      name: this.name,
      closedSeconds: this.#gate.closedSeconds,
      pullQuota: this.#registry.pullQuota,
    }
  }

  /** @throws DomainError `not_found`. */
  repository(repository: RepositoryName, hops: readonly HopId[]): UpstreamRepository {
    const name = sourceNameOf(this.#names, repository)
    const passed = { hops: this.#self === undefined ? hops : [...hops, this.#self] }
    if (name !== undefined)
      return { upstream: this, repository, hops, source: this.#registry.repository(name, passed) }
    throw new DomainError(
      'not_found',
      `${repository} is not here: its name would be too long at ${this.name}.`,
      { resource: 'repository', name: repository },
    )
  }

  ask<Answer>(question: (options: Abortable) => Promise<Answer>, options?: Abortable): Promise<Answer> {
    return this.#gate.ask(question, options)
  }
}
