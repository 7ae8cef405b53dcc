/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy.h -- deployments as the commands about models print them. */
#ifndef QN_CLI_CMD_DEPLOY_H
#define QN_CLI_CMD_DEPLOY_H

#include "cli/cli.h"
#include "io/json.h"

/* "2 of 1 thread", "0 to 32 of 1 thread", "all threads", in `out`. */
const char *cli_deployment_text(const quern_deployment *d, char *out, size_t size);

#endif
