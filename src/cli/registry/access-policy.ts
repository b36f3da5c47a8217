import type { Config } from '../../config.ts'
import { AccessPolicy } from '../../registry/auth/access-policy.ts'
import { parseAccountName } from '../../storage/accounts/names.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'
import { parsedSetting } from './parsed-setting.ts'

/** @throws DomainError `invalid` for admins that are no accounts. */
export function policyOf({ auth }: Config, tenants: Pick<Metadata, 'accessFacts'>): AccessPolicy {
  const admins = auth.admins.map((name, index) =>
    parsedSetting(`auth.admins.${index}`, () => parseAccountName(name)),
  )
  return new AccessPolicy({ tenants, anonymous: auth.anonymous, admins })
}
