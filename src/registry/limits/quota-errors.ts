import { DomainError } from '../../errors.ts'
import type { TenantName } from '../../storage/accounts/names.ts'

/** @param needed bytes of what is pushed; undefined when its length is not known. */
export function quotaExceeded(
  tenant: TenantName,
  {
    used,
    quota,
    needed,
  }: { readonly used: number; readonly quota: number; readonly needed: number | undefined },
): DomainError {
  const more = needed === undefined ? 'is longer than what is left' : `needs ${amount(needed)} more`
  return refusal(
    tenant,
    `The tenant ${tenant} has used ${amount(used)} of its quota of ${amount(quota)}; this push ${more}. Delete images or ask for a larger quota.`,
  )
}

export function tooManyRepositories(tenant: TenantName, quota: number): DomainError {
  return refusal(
    tenant,
    `The tenant ${tenant} has as many repositories as its quota allows, which is ${quota}. Push to one of them or ask for a larger quota.`,
  )
}

function refusal(tenant: TenantName, message: string): DomainError {
  return new DomainError('denied', message, {
    resource: 'quota',
    name: tenant,
    rule: `quota of the tenant ${tenant}`,
  })
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `9.8 GiB`, `10 GiB`, `512 B`. */
function amount(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1).replace(/\.0$/, '')} ${units[power] ?? ''}`
}
