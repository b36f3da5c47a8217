import { isLoopbackAddress } from '../../config/loopback.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'

/**
 * Whether passwords and tokens cross a network that others may listen on: a proxy in front that speaks TLS is known by
 * `registry.trustedProxies`, or by a realm of https.
 */
export function sendsPlainPasswords({ auth, registry }: Config): boolean {
  return (
    auth.mode !== 'none' &&
    registry.tls.certificateFile === undefined &&
    !isLoopbackAddress(registry.address) &&
    registry.trustedProxies.length === 0 &&
    auth.realm?.startsWith('https:') !== true
  )
}

export function warnOfPlainPasswords(config: Config, log: Logger): void {
  if (sendsPlainPasswords(config))
    log.warn(
      { address: config.registry.address },
      'passwords and tokens are sent without TLS; set registry.tls, or registry.trustedProxies when a proxy speaks it',
    )
}

/** Whether a proxy brings others to a registry where everybody may do everything, though its own address is out of reach. */
export function isOpenThroughProxy({ auth, registry }: Config): boolean {
  return auth.mode === 'none' && !auth.open && registry.trustedProxies.length > 0
}

export function warnOfOpenProxy(config: Config, log: Logger): void {
  if (isOpenThroughProxy(config))
    log.warn(
      { trustedProxies: config.registry.trustedProxies },
      'auth.mode is none, so whoever a trusted proxy lets through may push and delete; set auth.mode, or auth.open if that is meant',
    )
}
