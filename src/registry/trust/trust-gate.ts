import { DomainError, isDomainError } from '../../errors.ts'
import { tenantOf } from '../../storage/accounts/names.ts'
import { parseDigest } from '../../storage/digest.ts'
import { isManifestMediaType } from '../../storage/media-types.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { Handler, HandlerLayer } from '../handler.ts'
import type { Reply } from '../reply.ts'
import { type RegistryRequest, repositoryOf } from '../request.ts'
import { policiesFor } from './policies-for.ts'
import type { TrustPolicies, TrustPolicy } from './policy.ts'
import type { SignedImage } from './signature.ts'
import type { TenantPolicies } from './tenant-policies.ts'
import type { Judgement, TrustJudge, TrustRecords } from './trust-judge.ts'

export interface TrustGateOptions {
  readonly policies: TenantPolicies
  readonly judge: Pick<TrustJudge, 'judge'>
  readonly records: Pick<TrustRecords, 'getManifest'>
}

/**
 * Refuses manifests of images that a trust policy does not trust. It looks at what the handler has answered, so that
 * nobody can turn the tag to another image between the decision and the answer.
 *
 * Only GET of a manifest is asked about. HEAD gives a digest away and nothing else, and clients that push send it
 * first; a blob alone is no image, and who may not know what belongs together has nothing to run.
 */
export class TrustGate implements HandlerLayer {
  readonly #policies: TenantPolicies
  readonly #judge: Pick<TrustJudge, 'judge'>
  readonly #records: Pick<TrustRecords, 'getManifest'>

  constructor({ policies, judge, records }: TrustGateOptions) {
    this.#policies = policies
    this.#judge = judge
    this.#records = records
  }

  around(operation: string, handler: Handler): Handler {
    if (operation !== 'manifest.get') return handler
    return async request => {
      const reply = await handler(request)
      return reply.status === 200 || reply.status === 304 ? await this.#admit(request, reply) : reply
    }
  }

  async #admit(request: RegistryRequest, reply: Reply): Promise<Reply> {
    const repository = repositoryOf(request)
    const policies = await this.#policiesOf(repository, request)
    if (policies === undefined) return reply
    const warnings: string[] = []
    for (const policy of policiesFor(policies, repository)) {
      if (!(await appliesTo(policy, request, repository))) continue
      const image = await this.#imageOf(request, repository, reply)
      const judgement = await this.#judge.judge(repository, image, policies, policy, request)
      if (judgement.isTrusted) continue
      if (policy.mode === 'enforce') throw refusal(repository, image, policy, judgement)
      warnings.push(sentenceOf(repository, image, policy, judgement))
    }
    return warnings.length === 0 ? reply : withWarning(reply, warnings.join(' '))
  }

  async #policiesOf(
    repository: RepositoryName,
    request: RegistryRequest,
  ): Promise<TrustPolicies | undefined> {
    try {
      return await this.#policies.of(repository, request)
    } catch (error) {
      if (!isDomainError(error, 'invalid')) throw error
      if (await mayPush(request, repository)) return undefined
      // Nobody knows what it would have said, and giving everything out is what it was to prevent.
      throw new DomainError(
        'denied',
        `The trust policy of ${tenantOf(repository)} cannot be understood, so none of its images may be pulled; its owner has to correct it.`,
        {
          resource: 'rule',
          name: repository,
          rule: `the trust policy of ${tenantOf(repository)} is not valid`,
        },
        { cause: error },
      )
    }
  }

  async #imageOf(
    { signal }: RegistryRequest,
    repository: RepositoryName,
    { headers = {}, content }: Reply,
  ): Promise<SignedImage> {
    const digest = parseDigest(headers['Docker-Content-Digest'] ?? '')
    if (content !== undefined && 'bytes' in content && isManifestMediaType(content.type))
      return { digest, mediaType: content.type, size: content.bytes.length, bytes: content.bytes }
    return await this.#records.getManifest(repository, { kind: 'digest', digest }, { signal })
  }
}

async function appliesTo(
  { appliesTo }: TrustPolicy,
  request: RegistryRequest,
  repository: RepositoryName,
): Promise<boolean> {
  return appliesTo === 'everybody' || !(await mayPush(request, repository))
}

async function mayPush(
  { facts: { caller }, signal }: RegistryRequest,
  repository: RepositoryName,
): Promise<boolean> {
  return caller === undefined || (await caller.mayPush(repository, { signal }))
}

function sentenceOf(
  repository: RepositoryName,
  { digest }: SignedImage,
  { name }: TrustPolicy,
  { says }: Judgement,
): string {
  return `${repository}@${digest} is not trusted by the trust policy ${name} of ${tenantOf(repository)}: ${says}.`
}

function refusal(
  repository: RepositoryName,
  image: SignedImage,
  policy: TrustPolicy,
  judgement: Judgement,
): DomainError {
  const name = `${repository}@${image.digest}`
  return new DomainError(
    'denied',
    `${sentenceOf(repository, image, policy, judgement).slice(0, -1)}; have it signed as the policy wants, then pull it again.`,
    { resource: 'image', name, rule: `trust policy ${policy.name}: ${judgement.says}` },
  )
}

/** Characters, each of which may come to need two: distribution-spec, "Warnings", allows 4096 bytes. */
const maxWarning = 2000

/** distribution-spec, "Warnings": `299 - "text"`, without a date. */
function withWarning(reply: Reply, text: string): Reply {
  const quoted = text
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, maxWarning)
    .replace(/["\\]/g, '\\$&')
  // There may be one already, that the answer is stale.
  const before = reply.headers?.['Warning'] === undefined ? '' : `${reply.headers['Warning']}, `
  return { ...reply, headers: { ...reply.headers, Warning: `${before}299 - "${quoted}"` } }
}
