import { type LookupAddress, type LookupAllOptions, lookup as lookupHost } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { LRUCache } from 'lru-cache'
import { Agent, buildConnector, type Dispatcher, ProxyAgent } from 'undici'
import { DomainError } from '../../errors.ts'
import type { AddressRanges } from '../address-ranges.ts'
import { mayLead, type Nearness, nearnessOf, nearnessOfHost } from './nearness.ts'
import type { NoProxy } from './no-proxy.ts'
import type { RegistryPatience } from './registry-transport.ts'

export interface ConnectionOptions {
  /** PEM, beside those that Node trusts. */
  readonly authorities?: string | undefined
  readonly proxy?: ProxyOptions | undefined
  /** Given: registries may not send us to addresses that are nearer than their own, but for these. */
  readonly privateRedirects?: AddressRanges | undefined
  /** What we call ourselves: `varve` unless given. */
  readonly userAgent?: string | undefined
  /** The system's unless given. */
  readonly lookup?: HostLookup | undefined
}

/** All addresses of a name. */
export type HostLookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface ProxyOptions {
  readonly url: URL
  /** What `Proxy-Authorization` says. */
  readonly authorization?: string | undefined
  readonly noProxy: NoProxy
}

/** Hosts whose nearness is remembered. */
const maxHosts = 1000

/** Connections to registries, and to where they send us; those that nobody uses are closed. Whoever opens them destroys them. */
export class RemoteConnections {
  readonly userAgent: string
  readonly #patience: RegistryPatience
  readonly #options: ConnectionOptions
  readonly #ca: { readonly ca?: string[] }
  readonly #own: Agent
  /** By where who sends us there is, for a connection is checked only when it is made. */
  readonly #guarded = new Map<Nearness, Agent>()
  readonly #proxy: ProxyAgent | undefined
  /** Where registries were when we last connected to them. */
  readonly #nearness = new LRUCache<string, Nearness>({ max: maxHosts })
  /** Origins. */
  readonly #garbled = new LRUCache<string, true>({ max: maxHosts })

  constructor(patience: RegistryPatience, options: ConnectionOptions = {}) {
    this.#patience = patience
    this.#options = options
    this.userAgent = options.userAgent ?? 'varve'
    const { authorities, proxy } = options
    this.#ca = authorities === undefined ? {} : { ca: [...getCACertificates('default'), authorities] }
    const connect = this.#connector(() => true)
    this.#own = this.#agent((to, callback) =>
      connect(to, (...[error, socket]) => {
        if (error !== null) return callback(error, null)
        const { remoteAddress } = socket
        if (remoteAddress !== undefined) this.#nearness.set(to.hostname, nearnessOf(remoteAddress))
        callback(null, socket)
      }),
    )
    if (proxy === undefined) return
    const { connectMs, silenceMs } = patience
    this.#proxy = new ProxyAgent({
      uri: proxy.url.href,
      ...(proxy.authorization === undefined ? {} : { token: proxy.authorization }),
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      requestTls: { ...this.#ca, timeout: connectMs, allowH2: false },
      proxyTls: { ...this.#ca, timeout: connectMs, allowH2: false },
    })
  }

  /**
   * By which connections `url` is asked for.
   * @param registry that is asked, or that has sent us there.
   * @throws DomainError `denied` for an address that the registry may not send us to. Where a name leads is found out when
   * it is connected to, and refused by the request; where a proxy connects, only the name itself tells.
   */
  to(url: URL, registry: URL): Dispatcher {
    const { proxy, privateRedirects } = this.#options
    const isProxied = this.#proxy !== undefined && proxy !== undefined && !proxy.noProxy.includes(url)
    if (url.origin === registry.origin || privateRedirects === undefined)
      return isProxied ? this.#proxy : this.#own
    const from = this.#nearnessOfRegistry(registry)
    if (!isProxied) return this.#guardedFrom(from)
    const literal = url.hostname.replace(/^\[|\]$/g, '')
    const address = isIP(literal) === 0 && nearnessOfHost(literal) === 'loopback' ? '127.0.0.1' : literal
    if (isIP(address) !== 0 && !mayLead(from, address, privateRedirects)) throw refused(url.hostname)
    return this.#proxy
  }

  /**
   * Whether a connection is used again after a HEAD; undici closes each, because some servers send a body all the same,
   * which would be taken for the next answer.
   */
  staysAfterHead({ origin }: URL): boolean {
    return !this.#garbled.has(origin)
  }

  /**
   * Something else than an answer has come from there: from now on there is a new connection after each HEAD.
   * @returns whether there was none before, so that the same request may have an answer now.
   */
  noteGarbled(url: URL): boolean {
    const isNews = this.staysAfterHead(url)
    this.#garbled.set(url.origin, true)
    return isNews
  }

  async destroy(): Promise<void> {
    const agents: Dispatcher[] = [this.#own, ...this.#guarded.values()]
    if (this.#proxy !== undefined) agents.push(this.#proxy)
    await Promise.all(agents.map(agent => agent.destroy()))
  }

  #nearnessOfRegistry({ hostname }: URL): Nearness {
    return nearnessOfHost(hostname) ?? this.#nearness.get(hostname) ?? 'public'
  }

  #guardedFrom(from: Nearness): Agent {
    const known = this.#guarded.get(from)
    if (known !== undefined) return known
    const allows = (address: string): boolean => mayLead(from, address, this.#options.privateRedirects)
    const connect = this.#connector(allows)
    const agent = this.#agent((to, callback) => {
      const literal = to.hostname.replace(/^\[|\]$/g, '')
      // What is an address is not looked up.
      if (isIP(literal) !== 0 && !allows(literal)) callback(refused(to.hostname), null)
      else connect(to, callback)
    })
    this.#guarded.set(from, agent)
    return agent
  }

  #agent(connect: buildConnector.connector): Agent {
    const { silenceMs } = this.#patience
    return new Agent({ connect, headersTimeout: silenceMs, bodyTimeout: silenceMs })
  }

  /** HTTP/1.1: layers that share one connection would share its window, and its end. */
  #connector(allows: (address: string) => boolean): buildConnector.connector {
    const lookup = guardedLookup(this.#options.lookup ?? lookupHost, allows)
    return buildConnector({ ...this.#ca, timeout: this.#patience.connectMs, allowH2: false, lookup })
  }
}

/** Looks a name up and leaves out what may not be connected to: the socket gets no other addresses than these. */
function guardedLookup(lookup: HostLookup, allows: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const allowed: LookupAddress[] =
        error === null ? addresses.filter(({ address }) => allows(address)) : []
      const [first] = allowed
      if (error !== null) callback(error, [])
      else if (first === undefined) callback(refused(hostname), [])
      else if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

function refused(host: string): DomainError {
  return new DomainError(
    'denied',
    `${host} is at an address of a private network, where a registry outside of it may not send us; name it in remote.privateRedirects if it may.`,
    { resource: 'registry', name: host },
  )
}
