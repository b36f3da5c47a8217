import { administrationContract } from '../../contract/administration.ts'
import { openTestAdministration } from '../../support/administration.ts'

administrationContract('AdminService for the system', async () => {
  const opened = await openTestAdministration()
  return {
    administration: opened.system,
    account: undefined,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
})
