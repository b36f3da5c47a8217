import type { AccessController } from './auth/access-controller.ts'
import type { HandlerLayer } from './handler.ts'
import type { Route } from './routes.ts'

/**
 * What stands between a request and its handler, from outside: the audit log sees who was refused, too; nobody is
 * limited, or told anything, before it is known who they are and that they may.
 */
export interface RegistrySecurity {
  readonly access: AccessController
  readonly audit?: HandlerLayer | undefined
  readonly limits?: HandlerLayer | undefined
  /** Which images may be pulled at all: next to the handler, so that what it refuses counts as no pull. */
  readonly trust?: HandlerLayer | undefined
  /** Endpoints beside the registry's own that find out themselves who is there: those for tokens, logins, administration. */
  readonly routes?: readonly Route[] | undefined
}
