import { DomainError } from '../../errors.ts'
import { defaultRegistry, parseImageName } from '../reference.ts'

/** Docker Hub's name is not the address of its registry. */
const dockerHubHost = 'registry-1.docker.io'
const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/

/** @param host `host[:port]`. */
export function isLoopback(host: string): boolean {
  return loopback.test(host)
}

/**
 * That it is a registry as image names have it: a host with a dot, a port, or the name `localhost`.
 * @throws DomainError `invalid`.
 */
export function checkRegistry(registry: string): void {
  if (isRegistry(registry)) return
  throw new DomainError(
    'invalid',
    `${JSON.stringify(registry.slice(0, 255))} is not a registry; write host or host:port, such as quay.io or localhost:5000.`,
    { resource: 'registry', name: registry.slice(0, 255) },
  )
}

function isRegistry(registry: string): boolean {
  try {
    return (
      !registry.includes('/') &&
      URL.canParse(`https://${registry}`) &&
      parseImageName(`${registry}/x`).registry === registry
    )
  } catch {
    return false
  }
}

/** @param registry `host[:port]` as in an image's name. */
export function registryUrlOf(registry: string, plainHttp: boolean): URL {
  const host = registry === defaultRegistry ? dockerHubHost : registry
  return new URL(`${plainHttp || isLoopback(host) ? 'http' : 'https'}://${host}/`)
}
