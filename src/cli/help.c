#include "cli/command.h"

#include <string.h>

/* Help, manual pages and completions: all of it read off the command table. */

static const char *const group_names[MW_CLI_GROUP_COUNT] = {[MW_CLI_EVERYDAY] = "Everyday",
                                                            [MW_CLI_LOOPS] = "Workflows",
                                                            [MW_CLI_FACTORY] = "Factory",
                                                            [MW_CLI_OPERATIONS] = "Operations"};

static const char exit_codes[] =
    "0 done · 1 the work failed · 2 usage · 3 waiting for a person · 4 stopped at a limit · 65 "
    "damaged data · 69 a needed service or program is missing · 74 I/O · 75 somebody else holds "
    "it · 77 not allowed · 78 configuration · 130 stopped watching";

void mw_help_usage(FILE *to, const struct mw_command *command)
{
    (void)fprintf(to, "usage: millwright %s%s%s%s\n", command->name, *command->args ? " " : "",
                  command->args, command->options != NULL ? " [options]" : "");
}

static void print_option(const struct mw_option *option)
{
    char left[64];
    (void)snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
                   option->value ? option->value : "");
    (void)printf("  %-24s %s\n", left, option->help);
}

/* Text in lines of at most 78 columns. */
static void print_wrapped(const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " \n");
        if (column > 0 && column + 1 + word > 78) {
            (void)putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)word, text);
        text += word;
        for (; *text == '\n'; text++) {
            (void)putchar('\n');
            column = 0;
        }
        while (*text == ' ')
            text++;
    }
    (void)putchar('\n');
}

static void help_of(const struct mw_command *command)
{
    mw_help_usage(stdout, command);
    (void)printf("\n%s\n", command->summary);
    if (command->details != NULL) {
        (void)putchar('\n');
        print_wrapped(command->details);
    }
    (void)printf("\nOptions:\n");
    bool own_json = false;
    for (const struct mw_option *at = command->options; at != NULL && at->name != NULL; at++) {
        print_option(at);
        own_json = own_json || strcmp(at->name, "json") == 0;
    }
    for (const struct mw_option *at = mw_general_options; at->name != NULL; at++)
        if (!own_json || strcmp(at->name, "json") != 0)
            print_option(at);
}

static void help_all(void)
{
    (void)printf("usage: millwright [--workspace DIR] COMMAND …\n\n"
                 "An intent goes in, a reviewed and running app comes out.\n");
    for (int group = 0; group < MW_CLI_GROUP_COUNT; group++) {
        (void)printf("\n%s:\n", group_names[group]);
        for (size_t i = 0; i < mw_command_count; i++)
            if (mw_commands[i].group == (enum mw_cli_group)group)
                (void)printf("  %-18s %s\n", mw_commands[i].name, mw_commands[i].summary);
    }
    (void)printf("\nBegin: millwright gen \"a todo app with …\"   then: review, accept, promote, "
                 "up\nMore:  millwright help COMMAND\n\nExit codes: ");
    print_wrapped(exit_codes);
}

/* The command that help, man and completion are asked about: "plan show" may come as one word or two. */
static const struct mw_command *asked(const struct mw_cli *cli)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s%s%s", cli->args[0], cli->arg_count > 1 ? " " : "",
                   cli->arg_count > 1 ? cli->args[1] : "");
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].name, name) == 0)
            return &mw_commands[i];
    return NULL;
}

static int help_family(const struct mw_cli *cli)
{
    size_t len = strlen(cli->args[0]);
    bool found = false;
    for (size_t i = 0; cli->arg_count == 1 && i < mw_command_count; i++)
        if (strncmp(mw_commands[i].name, cli->args[0], len) == 0 &&
            mw_commands[i].name[len] == ' ') {
            if (!found)
                (void)printf("millwright %s:\n", cli->args[0]);
            (void)printf("  %-18s %s\n", mw_commands[i].name, mw_commands[i].summary);
            found = true;
        }
    if (found)
        return 0;
    const char *near = mw_command_suggest(cli->args[0]);
    if (near != NULL)
        return mw_cli_usage(cli, "'%s' is not a command; did you mean `millwright help %s`?",
                            cli->args[0], near);
    return mw_cli_usage(cli, "'%s' is not a command", cli->args[0]);
}

int mw_cmd_help(struct mw_cli *cli)
{
    if (cli->arg_count == 0) {
        help_all();
        return 0;
    }
    const struct mw_command *command = asked(cli);
    if (command == NULL)
        return help_family(cli);
    help_of(command);
    return 0;
}

int mw_cmd_version(struct mw_cli *cli)
{
    const char *build = cli->ports->build_id != NULL ? cli->ports->build_id() : "";
    if (cli->json)
        (void)printf(
            "{\"product\":\"millwright\",\"version\":\"%s\",\"build\":\"%s\",\"api\":%d}\n",
            MW_CLI_VERSION, build, MW_CLI_API);
    else
        (void)printf("millwright %s%s%s%s\n", MW_CLI_VERSION, *build ? " (" : "", build,
                     *build ? ")" : "");
    return 0;
}

/* ---- manual pages ---- */

/* roff takes '-' for a hyphen, a leading '.' for a request and '\\' for an escape. */
static void roff(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '\n') {
            (void)printf(at[1] == '\n' ? "\n.PP\n" : "\n");
            at += at[1] == '\n';
        } else if (at[0] == '-') {
            (void)printf("\\-");
        } else if (at[0] == '\\') {
            (void)printf("\\e");
        } else if (at == text && (at[0] == '.' || at[0] == '\'')) {
            (void)printf("\\&%c", at[0]);
        } else {
            (void)putchar(*at);
        }
    }
}

static void roff_option(const struct mw_option *option)
{
    (void)printf(".TP\n\\fB\\-\\-");
    roff(option->name);
    (void)printf("\\fR");
    if (option->value != NULL) {
        (void)printf(" \\fI");
        roff(option->value);
        (void)printf("\\fR");
    }
    (void)putchar('\n');
    roff(option->help);
    (void)putchar('\n');
}

static void man_head(const char *name, const char *summary)
{
    (void)printf(".TH \"MILLWRIGHT");
    if (*name != '\0')
        (void)printf("-");
    for (const char *at = name; *at != '\0'; at++)
        (void)putchar(*at == ' ' ? '-' : *at >= 'a' && *at <= 'z' ? *at - 32 : *at);
    (void)printf("\" 1 \"\" \"millwright " MW_CLI_VERSION "\"\n.SH NAME\nmillwright");
    if (*name != '\0')
        (void)printf("\\-");
    for (const char *at = name; *at != '\0'; at++)
        (void)printf(*at == ' ' || *at == '-' ? "\\-" : "%c", *at);
    (void)printf(" \\- ");
    roff(summary);
    (void)printf("\n.SH SYNOPSIS\n\\fBmillwright");
}

static void man_tail(void)
{
    (void)printf(".SH EXIT STATUS\n");
    roff(exit_codes);
    (void)printf("\n.SH ENVIRONMENT\n.TP\n\\fBNO_COLOR\\fR\nno colours\n.TP\n"
                 "\\fBMILLWRIGHT_FACTORY\\fR\nthe folder with definitions and templates, when it "
                 "is not beside the program\n.SH SEE ALSO\n\\fBmillwright\\fR(1)\n");
}

int mw_cmd_man(struct mw_cli *cli)
{
    if (cli->arg_count == 0) {
        man_head("", "from an intent to a reviewed, running app");
        (void)printf(
            "\\fR [\\fB\\-\\-workspace\\fR \\fIDIR\\fR] \\fICOMMAND\\fR …\n.SH COMMANDS\n");
        for (size_t i = 0; i < mw_command_count; i++) {
            (void)printf(".TP\n\\fB%s\\fR ", mw_commands[i].name);
            roff(mw_commands[i].args);
            (void)putchar('\n');
            roff(mw_commands[i].summary);
            (void)putchar('\n');
        }
        (void)printf(".SH OPTIONS\n");
        for (const struct mw_option *at = mw_general_options; at->name != NULL; at++)
            roff_option(at);
        man_tail();
        return 0;
    }
    const struct mw_command *command = asked(cli);
    if (command == NULL)
        return mw_cli_usage(cli, "'%s' is not a command", cli->args[0]);
    man_head(command->name, command->summary);
    (void)printf(" %s\\fR ", command->name);
    roff(command->args);
    (void)printf(" [\\fIoptions\\fR]\n.SH DESCRIPTION\n");
    roff(command->summary);
    (void)printf(".\n");
    if (command->details != NULL) {
        (void)printf(".PP\n");
        roff(command->details);
        (void)putchar('\n');
    }
    (void)printf(".SH OPTIONS\n");
    for (const struct mw_option *at = command->options; at != NULL && at->name != NULL; at++)
        roff_option(at);
    for (const struct mw_option *at = mw_general_options; at->name != NULL; at++)
        roff_option(at);
    man_tail();
    return 0;
}

/* ---- completions ---- */

static bool is_first_of_family(size_t index)
{
    size_t len = strcspn(mw_commands[index].name, " ");
    for (size_t i = 0; i < index; i++)
        if (strcspn(mw_commands[i].name, " ") == len &&
            strncmp(mw_commands[i].name, mw_commands[index].name, len) == 0)
            return false;
    return true;
}

static void print_first_words(const char *between)
{
    for (size_t i = 0; i < mw_command_count; i++)
        if (is_first_of_family(i))
            (void)printf("%s%.*s", i > 0 ? between : "", (int)strcspn(mw_commands[i].name, " "),
                         mw_commands[i].name);
}

static void print_second_words(const char *first, size_t len)
{
    bool any = false;
    for (size_t i = 0; i < mw_command_count; i++)
        if (strncmp(mw_commands[i].name, first, len) == 0 && mw_commands[i].name[len] == ' ') {
            (void)printf("%s%s", any ? " " : "", mw_commands[i].name + len + 1);
            any = true;
        }
}

static void print_options_of(const struct mw_command *command)
{
    for (const struct mw_option *at = mw_general_options; at->name != NULL; at++)
        (void)printf(" --%s", at->name);
    for (const struct mw_option *at = command->options; at != NULL && at->name != NULL; at++)
        if (strcmp(at->name, "json") != 0)
            (void)printf(" --%s", at->name);
}

/* One table for bash and zsh: zsh reads bash completions. */
static void complete_bash(void)
{
    (void)printf("_millwright() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    print_first_words(" ");
    (void)printf("\"\n    elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${cur#-}\" = \"$cur\" ]; then\n"
                 "        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < mw_command_count; i++) {
        size_t len = strcspn(mw_commands[i].name, " ");
        if (mw_commands[i].name[len] != ' ' || !is_first_of_family(i))
            continue;
        (void)printf("        %.*s) words=\"", (int)len, mw_commands[i].name);
        print_second_words(mw_commands[i].name, len);
        (void)printf("\" ;;\n");
    }
    (void)printf("        help|man) words=\"");
    print_first_words(" ");
    (void)printf("\" ;;\n        completion) words=\"bash zsh fish\" ;;\n        esac\n    fi\n"
                 "    case $cur in -*)\n        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (size_t i = 0; i < mw_command_count; i++) {
        (void)printf("        '%s'%s) words=\"", mw_commands[i].name,
                     strchr(mw_commands[i].name, ' ') ? "" : "\\ *");
        print_options_of(&mw_commands[i]);
        (void)printf("\" ;;\n");
    }
    (void)printf("        esac ;;\n    esac\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "    [ -n \"$words\" ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
                 "complete -o filenames -F _millwright millwright\n");
}

static void fish_text(const char *text)
{
    (void)putchar('\'');
    for (; *text != '\0'; text++)
        (void)printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    (void)putchar('\'');
}

static void complete_fish(void)
{
    (void)printf("complete -c millwright -f\n");
    for (size_t i = 0; i < mw_command_count; i++) {
        const struct mw_command *command = &mw_commands[i];
        size_t len = strcspn(command->name, " ");
        bool two = command->name[len] == ' ';
        if (!two)
            (void)printf("complete -c millwright -n __fish_use_subcommand -a %s -d ",
                         command->name);
        else if (is_first_of_family(i))
            (void)printf("complete -c millwright -n __fish_use_subcommand -a %.*s\n", (int)len,
                         command->name);
        if (two)
            (void)printf("complete -c millwright -n '__fish_seen_subcommand_from %.*s' -a %s -d ",
                         (int)len, command->name, command->name + len + 1);
        fish_text(command->summary);
        (void)putchar('\n');
        for (const struct mw_option *at = command->options; at != NULL && at->name != NULL; at++) {
            (void)printf("complete -c millwright -n '__fish_seen_subcommand_from %.*s' -l %s%s -d ",
                         (int)len, command->name, at->name, at->value != NULL ? " -r" : "");
            fish_text(at->help);
            (void)putchar('\n');
        }
    }
    for (const struct mw_option *at = mw_general_options; at->name != NULL; at++) {
        (void)printf("complete -c millwright -l %s%s -d ", at->name, at->value ? " -r" : "");
        fish_text(at->help);
        (void)putchar('\n');
    }
}

int mw_cmd_completion(struct mw_cli *cli)
{
    if (strcmp(cli->args[0], "bash") == 0) {
        complete_bash();
    } else if (strcmp(cli->args[0], "zsh") == 0) {
        (void)printf("#compdef millwright\nautoload -U +X bashcompinit && bashcompinit\n");
        complete_bash();
    } else if (strcmp(cli->args[0], "fish") == 0) {
        complete_fish();
    } else {
        return mw_cli_usage(cli, "completions are made for bash, zsh and fish");
    }
    return 0;
}
