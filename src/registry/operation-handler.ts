/** What distribution calls the handler of an operation; other operations have a name of their own. */
const handlers: Readonly<Record<string, string>> = {
  'upload.start': 'blob_upload',
  'upload.status': 'blob_upload_chunk',
  'upload.append': 'blob_upload_chunk',
  'upload.finish': 'blob_upload_chunk',
  'upload.cancel': 'blob_upload_chunk',
}

/** The value of the metrics' label `handler`. @param operation of the route table; undefined when no route matched. */
export function handlerOf(operation: string | undefined): string {
  if (operation === undefined) return 'none'
  return handlers[operation] ?? operation.split('.', 1)[0] ?? operation
}
