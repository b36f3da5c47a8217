import { DomainError } from '../../../errors.ts'
import { fitsAny } from '../../name-pattern.ts'
import type { ImageName } from '../../reference.ts'

/** For which images credentials are. */
export interface CredentialRule {
  readonly name: string
  /** `host[:port]`, as image names have it. */
  readonly registry: string
  /** Patterns of repository names (`name-pattern.ts`). */
  readonly repositories: readonly string[]
}

/**
 * The rule whose credentials an image is asked for with: the one that is named, else the first that fits. A name decides
 * only among those that fit, for a secret never leaves for where it does not belong.
 *
 * @throws DomainError `invalid` for a name that no rule has, `denied` for one that is for something else.
 */
export function chooseRule<Rule extends CredentialRule>(
  rules: readonly Rule[],
  image: Pick<ImageName, 'registry' | 'repository'>,
  wanted: string | undefined,
): Rule | undefined {
  if (wanted === undefined) return rules.find(rule => misfitOf(rule, image) === undefined)
  const named = rules.find(({ name }) => name === wanted)
  if (named === undefined) throw unknownName(rules, wanted)
  const misfit = misfitOf(named, image)
  if (misfit === undefined) return named
  throw new DomainError(
    'denied',
    `The credentials ${named.name} are for ${misfit}, not for ${image.registry}/${image.repository}.`,
    { resource: 'registry', name: image.registry },
  )
}

/**
 * The same for what is of no repository: a catalog, or whether the registry answers. Unless one is named, only a rule for
 * all of the registry's repositories fits.
 */
export function chooseRuleForRegistry<Rule extends CredentialRule>(
  rules: readonly Rule[],
  registry: string,
  wanted: string | undefined,
): Rule | undefined {
  if (wanted === undefined)
    return rules.find(rule => rule.registry === registry && rule.repositories.includes('**'))
  const named = rules.find(({ name }) => name === wanted)
  if (named === undefined) throw unknownName(rules, wanted)
  if (named.registry === registry) return named
  throw new DomainError(
    'denied',
    `The credentials ${named.name} are for ${named.registry}, not for ${registry}.`,
    { resource: 'registry', name: registry },
  )
}

/** What the rule is for, when that is not the image. */
function misfitOf(
  { registry, repositories }: CredentialRule,
  image: Pick<ImageName, 'registry' | 'repository'>,
): string | undefined {
  if (registry !== image.registry) return registry
  return fitsAny(repositories, image.repository)
    ? undefined
    : `${repositories.join(', ') || 'no repository'} of ${registry}`
}

function unknownName(rules: readonly CredentialRule[], wanted: string): DomainError {
  const names = rules.map(({ name }) => name).join(', ')
  return new DomainError(
    'invalid',
    `There are no credentials ${JSON.stringify(wanted.slice(0, 128))}; configured are: ${names || 'none'} (importer.credentials, remote.credentials).`,
    { resource: 'config', name: wanted },
  )
}
