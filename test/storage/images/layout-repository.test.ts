import { LayoutRepository } from '../../../src/storage/images/layout/layout-repository.ts'
import { imageRepositoryContract } from '../../contract/image-repository.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

imageRepositoryContract(
  'LayoutRepository',
  {
    keeps: 'for-ever',
    deletesTags: true,
    requiresBlobs: true,
    siblings: false,
    algorithms: ['sha256', 'sha512'],
  },
  async () => {
    const directory = await temporaryDirectory()
    let current = await LayoutRepository.open(directory.path)
    return {
      repository: current,
      successor: async () => {
        await current[Symbol.asyncDispose]()
        current = await LayoutRepository.open(directory.path)
        return current
      },
      close: async () => {
        await current[Symbol.asyncDispose]()
        await directory.remove()
      },
    }
  },
)
