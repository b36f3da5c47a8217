import { type S3ServerKind, startS3Server } from '../../test/support/s3-server.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type Contender, dockerRegistryWith, varveWith } from '../registry/contender.ts'

export interface Contenders extends AsyncDisposable {
  readonly peer: Contender
  readonly varve: Contender
}

/** Both with their own settings for everything but the place: one bucket of one server, no redirects. */
export async function startOnS3(kind: S3ServerKind): Promise<Contenders> {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startS3Server(kind))
  const { endpoint, region, bucket, credentials } = server
  const { accessKeyId, secretAccessKey } = credentials
  const start = async (starting: ReturnType<typeof varveWith>): Promise<Contender> => {
    const contender = await starting(stack.use(await temporaryDirectory()).path)
    stack.defer(() => contender.stop())
    return contender
  }
  const peer = await start(
    dockerRegistryWith({
      s3: {
        ...{ bucket, region, regionendpoint: endpoint, rootdirectory: '/peer', secure: false },
        ...{ accesskey: accessKeyId, secretkey: secretAccessKey },
      },
      redirect: { disable: true },
    }),
  )
  const s3 = { endpoint, region, bucket, prefix: 'varve/', accessKeyId, secretAccessKey }
  const varve = await start(varveWith({ storage: { driver: 's3', s3 } }))
  const owned = stack.move()
  return { peer, varve, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
