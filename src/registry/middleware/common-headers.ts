import type { RegistryMiddleware } from '../state.ts'

/** Headers of every answer, errors included: old engines refuse a registry that does not give its version. */
export const commonHeaders: RegistryMiddleware = async (ctx, next) => {
  ctx.set('Docker-Distribution-API-Version', 'registry/2.0')
  ctx.set('X-Content-Type-Options', 'nosniff')
  await next()
}
