/* The program tutti: hands the command line to boot. */
#include "boot/command.h"

int main(int count, char **arguments)
{
    return command_run(count, arguments);
}
