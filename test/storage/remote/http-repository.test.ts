import { randomBytes } from 'node:crypto'
import { after, before, describe } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import {
  imageRepositoryContract,
  type OpenedRepository,
  type RepositoryPowers,
} from '../../contract/image-repository.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { skipWithout } from '../../support/programs.ts'
import { startRegistry } from '../../support/registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** A new repository of a registry that is there already. */
async function openAt(url: string): Promise<OpenedRepository> {
  const { host } = new URL(url)
  const registries = new HttpRegistries()
  const named = (suffix: string) => parseRepositoryName(`it/${id}${suffix}`)
  const id = randomBytes(6).toString('hex')
  const registry = registries.open(host)
  return {
    repository: registry.repository(named('')),
    successor: async () => registries.open(host).repository(named('')),
    sibling: { repository: registry.repository(named('-sibling')), name: named('-sibling') },
    close: () => registries[Symbol.asyncDispose](),
  }
}

const powers: RepositoryPowers = {
  keeps: 'in-the-call',
  deletesTags: true,
  requiresBlobs: true,
  algorithms: ['sha256', 'sha512'],
  siblings: true,
}

describe('HttpRepository over Varve', () => {
  const stack = new AsyncDisposableStack()
  let url = ''
  before(async () => {
    url = stack.use(await startRegistry()).url
  })
  after(() => stack.disposeAsync())
  imageRepositoryContract('HttpRepository over Varve', powers, () => openAt(url))
})

describe('HttpRepository over docker-registry', { skip: await skipWithout('docker-registry') }, () => {
  const stack = new AsyncDisposableStack()
  let url = ''
  before(async () => {
    const { path } = stack.use(await temporaryDirectory())
    const registry = await startDockerRegistry(path)
    stack.defer(() => registry.stop())
    url = registry.url
  })
  after(() => stack.disposeAsync())
  // It is old: tags are deleted since its next major version, which takes sparse indexes as well.
  const older: RepositoryPowers = {
    ...powers,
    deletesTags: false,
    sparseIndexes: false,
    algorithms: ['sha256'],
  }
  imageRepositoryContract('HttpRepository over docker-registry', older, () => openAt(url))
})
