import type { AccessController, Caller } from './access-controller.ts'

/** Everybody may do everything, and nobody is asked who they are: for a registry that only its own machine reaches. */
export class OpenAccess implements AccessController {
  authorize(): Promise<Caller> {
    return Promise.resolve(everybody)
  }
}

const rule = 'everybody may do everything here (auth.mode)'

const everybody: Caller = Object.freeze({
  account: null,
  isAdmin: true,
  tenants: [],
  credential: undefined,
  rule,
  decide: () => Promise.resolve({ isAllowed: true, rule }),
  mayPush: () => Promise.resolve(true),
})
