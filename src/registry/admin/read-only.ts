import { DomainError } from '../../errors.ts'
import type { AdminOperation } from './administration.ts'

/** What changes repositories, tags or manifests, as pushes and deletes do. */
const changesContent: ReadonlySet<AdminOperation> = new Set<AdminOperation>([
  'repository.delete',
  'repository.restore',
  'repository.purge',
  'repository.rename',
  'tag.delete',
  'tag.restore',
  'tag.expire',
  'manifest.restore',
  'manifest.purge',
  'retention.run',
])

/**
 * For a registry that is read-only (`registry.readOnly`): its content stays as it is, whoever asks. What was deleted before
 * still goes in its time.
 * @throws DomainError `unsupported`, as a push is refused.
 */
export function refuseChange(operation: AdminOperation, input: object): void {
  const purges = operation === 'tenant.delete' && 'purge' in input && input.purge === true
  if (!changesContent.has(operation) && !purges) return
  throw new DomainError(
    'unsupported',
    'This registry is read-only now (registry.readOnly), so its repositories, tags and manifests stay as they are.',
    { resource: 'request', rule: 'the registry is read-only' },
  )
}
