import type { RepositoryName } from '../../storage/reference.ts'
import type { TrustPolicies, TrustPolicy } from './policy.ts'

/** Those that say something about the images of the repository. */
export function policiesFor({ policies }: TrustPolicies, repository: RepositoryName): TrustPolicy[] {
  return policies.filter(({ images }) => images.some(one => one.test(repository)))
}
