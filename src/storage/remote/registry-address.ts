import { defaultRegistry } from '../reference.ts'

/** Docker Hub's name is not the address of its registry. */
const dockerHubHost = 'registry-1.docker.io'
const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/

/** @param host `host[:port]`. */
export function isLoopback(host: string): boolean {
  return loopback.test(host)
}

/** @param registry `host[:port]` as in an image's name. */
export function registryUrlOf(registry: string, plainHttp: boolean): URL {
  const host = registry === defaultRegistry ? dockerHubHost : registry
  return new URL(`${plainHttp || isLoopback(host) ? 'http' : 'https'}://${host}/`)
}
