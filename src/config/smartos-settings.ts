import * as z from 'zod'

/** How images are published to SmartOS. */
export const smartosSettings = z.strictObject({
  imgadmDirectory: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Directory of imgadm's database, in which published images are recorded; on SmartOS /var/imgadm, elsewhere none.",
    ),
  kernelVersion: z
    .string()
    .regex(/^\d{1,3}(?:\.\d{1,5}){2}$/, 'three numbers, such as 5.10.0')
    .default('3.13.0')
    .describe('The Linux that LX zones say they are (kernel_version in payloads and image manifests).'),
})
