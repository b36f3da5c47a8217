import { DomainError } from '../../errors.ts'
import type { RepositoryRecords } from '../../storage/metadata/repository-records.ts'
import type { Handler } from '../handler.ts'
import { json } from '../reply.ts'
import { repositoryOf } from '../request.ts'

/** distribution-spec, extensions/_oci.md. */
interface Extension {
  readonly name: string
  readonly description: string
  readonly url: string
  readonly endpoints: readonly string[]
}

const discovery: Extension = {
  name: '_oci',
  description: 'Which extensions there are.',
  url: 'https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md',
  endpoints: ['_oci/ext/discover'],
}

const catalog: Extension = {
  name: '_catalog',
  description: 'Names of all repositories, page by page.',
  url: 'https://distribution.github.io/distribution/spec/api/#catalog',
  endpoints: ['_catalog'],
}

/** GET /v2/_oci/ext/discover: the extensions of the whole registry. */
export const discoverRegistryExtensions: Handler = () => json(200, { extensions: [discovery, catalog] })

/** GET /v2/<name>/_oci/ext/discover: those of one repository. */
export function createRepositoryExtensionsHandler(
  records: Pick<RepositoryRecords, 'hasRepository'>,
): Handler {
  return async request => {
    const repository = repositoryOf(request)
    if (!(await records.hasRepository(repository, { signal: request.signal })))
      throw new DomainError('not_found', `The repository ${repository} does not exist.`, {
        resource: 'repository',
        name: repository,
      })
    return json(200, { extensions: [discovery] })
  }
}
